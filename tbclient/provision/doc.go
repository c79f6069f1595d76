// Package provision gets credentials for a gateway that has none: it asks the
// platform to create a device, by the provisioning key and secret of a device
// profile, and keeps what the platform answers in a file.
//
//	credentials, err := provision.LoadOrRequest(ctx, "config/.credentials", provision.Request{
//		Broker: "tls://demo.thingsboard.io:8883",
//		Key:    "...", // of the device profile
//		Secret: "...",
//	})
//
// The file is the platform's answer as the Python gateway keeps it, so that
// either gateway can go on with the credentials of the other. For an X.509
// certificate, cert.pem and key.pem are beside it.
//
// # What a crash leaves behind
//
// A platform that creates devices answers a device's name once: the second
// request for it is refused, so an answer that is lost would leave a device
// behind that nobody can connect as. Therefore [LoadOrRequest] chooses the
// device's name and credentials itself, and keeps them in a file (the path with
// ".pending" appended) before it asks. If an answer does not arrive, or is not
// saved because of a crash, it asks for the same again; and if the platform
// then refuses because the device exists, it tries to connect with the
// credentials that it had chosen. If those are accepted, they are the answer.
//
// A platform that checks devices which were created beforehand gives their
// credentials, whatever was chosen, as often as it is asked.
//
// Secrets are in no log and no error, and in files that only their owner may
// read.
package provision
