package tbtest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/tbclient/conformance/table"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
)

// The checksums are those that other implementations give for "hello"; the last
// three kinds are written from the least significant byte up: of 3610a686,
// 248bfa47, and cbd8a7b341bd9b02 with 5b1e906a48ae1d19.
func TestChecksumsAreThoseOfThePlatform(t *testing.T) {
	srv := start(t, tbtest.Config{})
	for algorithm, want := range map[string]string{
		"MD5":         "5d41402abc4b2a76b9719d911017c592",
		"SHA256":      "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
		"SHA384":      "59e1748777448c69de6b800d7a33bbfb9ff1b463e44354c3553bcdb9c666fa90125a3c79f90397bdf5f6a13de828684f",
		"SHA512":      "9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043",
		"CRC32":       "86a61036",
		"MURMUR3_32":  "47fa8b24",
		"MURMUR3_128": "029bbd41b3a7d8cb191dae486a901e5b",
	} {
		require.NoError(t, srv.SetFirmware("fw", "t", "1", []byte("hello"), algorithm))
		require.Equal(t, want, srv.SharedAttributes(tbtest.Gateway)["fw_checksum"], algorithm)
	}
	require.Error(t, srv.SetFirmware("fw", "t", "1", nil, "sha256"))
	require.Error(t, srv.SetFirmware("os", "t", "1", nil, "SHA256"))
}

func TestAssignedPackageIsToldAndServed(t *testing.T) {
	both(t, func(t *testing.T, version byte) {
		srv := start(t, tbtest.Config{Token: token, MaxPayload: 2000})
		image := strings.Repeat("0123456789", 100)
		require.NoError(t, srv.SetFirmware("sw", "app", "2.1", []byte(image), "CRC32"))
		chunk := func(topic, size, want string) table.Step {
			return publish("v2/sw/request/"+topic, size, "PUBACK", "PUBLISH v2/sw/response/"+topic+" "+want)
		}
		converse(t, srv, version, table.Login{},
			publish("v1/devices/me/attributes/request/1", `{"sharedKeys":"sw_title,sw_version,sw_size,sw_tag,sw_checksum_algorithm"}`, "PUBACK",
				`PUBLISH v1/devices/me/attributes/response/1 {"shared":{"sw_title":"app","sw_version":"2.1","sw_size":1000,"sw_tag":"app 2.1","sw_checksum_algorithm":"CRC32"}}`),
			chunk("1/chunk/0", "600", image[:600]),
			chunk("1/chunk/1", "", image[600:]),
			chunk("1/chunk/2", "", ""),
			chunk("1/chunk/2147483647", "2000", ""),
			chunk("2/chunk/0", "", image),
			publish("v2/sw/request/2/chunk/0", "2001", "PUBLISH v2/sw/error PAYLOAD_TOO_LARGE", "closed"),
		)
		converse(t, srv, version, table.Login{}, publish("v2/fw/request/2/chunk/0", "", "PUBLISH v2/fw/error NOT_FOUND", "closed"))
		converse(t, srv, version, table.Login{}, publish("v2/sw/request/2/chunk/0", "many", "closed"))
		converse(t, srv, version, table.Login{}, publish("v2/sw/request/x/chunk/0", "", "PUBACK 144"),
			publish("v2/sw/request/1/chunk/-1", "", "PUBACK 144"))
	})
}

func TestChunksCanBeLostAndCorrupted(t *testing.T) {
	srv := start(t, tbtest.Config{Token: token})
	require.NoError(t, srv.SetFirmware("fw", "t", "1", []byte("abc"), "MD5"))
	srv.LoseChunks(1)
	srv.CorruptChunks(1)
	const topic = "v2/fw/request/1/chunk/0"
	good := "PUBLISH v2/fw/response/1/chunk/0 abc"
	converse(t, srv, mqtt5, table.Login{}, publish(topic, "", "PUBACK"),
		publish(topic, "", "PUBACK", `PUBLISH v2/fw/response/1/chunk/0 "a\x9dc"`), publish(topic, "", "PUBACK", good))
}
