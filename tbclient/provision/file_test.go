package provision_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/tbclient/provision"
)

func read1(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

func private(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	if runtime.GOOS != "windows" {
		require.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), path)
	}
}

func certified(t *testing.T, name string) provision.Credentials {
	t.Helper()
	p := newPlatform(t, nil)
	r := request(p)
	r.Type, r.DeviceName = provision.X509, name
	c, err := provision.Do(t.Context(), r)
	require.NoError(t, err)
	return c
}

func TestTheFileIsTheAnswerAsThePythonGatewayKeepsIt(t *testing.T) {
	x := certified(t, "Plant")
	dir := t.TempDir()
	path := filepath.Join(dir, "new", ".credentials")
	for want, c := range map[string]provision.Credentials{
		`{"status":"SUCCESS","credentialsType":"ACCESS_TOKEN","credentialsValue":"abc"}`: {Type: provision.AccessToken, Token: "abc"},
		`{"status":"SUCCESS","credentialsType":"MQTT_BASIC","credentialsValue":{"clientId":"c","userName":"u","password":"p"}}`: {
			Type: provision.MQTTBasic, ClientID: "c", Username: "u", Password: "p",
		},
	} {
		require.NoError(t, c.Save(path))
		require.Equal(t, want, read1(t, path))
		private(t, path)
		got, err := provision.Load(path)
		require.NoError(t, err)
		require.Equal(t, c, got)
	}
	require.NoError(t, x.Save(path))
	var doc map[string]any
	require.NoError(t, json.Unmarshal([]byte(read1(t, path)), &doc))
	require.Equal(t, map[string]any{
		"status": "SUCCESS", "credentialsType": "X509_CERTIFICATE", "credentialsValue": x.Certificate, "caCert": "",
	}, doc)
	for name, want := range map[string]string{"cert.pem": x.Certificate, "key.pem": x.Key} {
		require.Equal(t, want, read1(t, filepath.Join(dir, "new", name)))
		private(t, filepath.Join(dir, "new", name))
	}
	got, err := provision.Load(path)
	require.NoError(t, err)
	require.Equal(t, x, got)
}

func TestWhatThePythonGatewayWroteIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".credentials")
	for doc, want := range map[string]provision.Credentials{
		`{"credentialsValue": "abc", "credentialsType": "ACCESS_TOKEN", "status": "SUCCESS", "caCert": null}`: {Type: provision.AccessToken, Token: "abc"},
		`{"credentialsValue": {"clientId": "c", "userName": "u", "password": "p"}, "credentialsType": "MQTT_BASIC", "status": "SUCCESS", "caCert": "ca.pem", "provisionDeviceStatus": "x"}`: {
			Type: provision.MQTTBasic, ClientID: "c", Username: "u", Password: "p", CACert: "ca.pem",
		},
	} {
		require.NoError(t, os.WriteFile(path, []byte(doc), 0o600))
		got, err := provision.Load(path)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestWhatIsNotUsableIsNotLoadedAndNotSaved(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".credentials")
	_, err := provision.Load(path)
	require.ErrorIs(t, err, fs.ErrNotExist)
	for _, doc := range []string{"", "{", `{"status":"FAILURE","errorMsg":"x"}`, `{"status":"SUCCESS","credentialsType":"X509_CERTIFICATE"}`} {
		require.NoError(t, os.WriteFile(path, []byte(doc), 0o600))
		_, err := provision.Load(path)
		require.ErrorContains(t, err, path)
	}
	require.Error(t, provision.Credentials{Type: provision.AccessToken}.Save(path))
	a, b := certified(t, "A"), certified(t, "B")
	a.Key = b.Key
	require.ErrorContains(t, a.Save(path), "certificate and key")
}

func TestCredentialsInTheFileAreNotAskedForAgain(t *testing.T) {
	p := newPlatform(t, nil)
	path := filepath.Join(t.TempDir(), ".credentials")
	c, err := provision.LoadOrRequest(soon(t), path, request(p))
	require.NoError(t, err)
	again, err := provision.LoadOrRequest(soon(t), path, request(p))
	require.NoError(t, err)
	require.Equal(t, c, again)
	require.Len(t, p.asked(), 1)
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1, "something is left behind")
}

func TestRemoveMakesTheNextStartAskAnew(t *testing.T) {
	p := newPlatform(t, nil)
	dir := t.TempDir()
	path := filepath.Join(dir, ".credentials")
	r := request(p)
	r.Type = provision.X509
	first, err := provision.LoadOrRequest(soon(t), path, r)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path+".pending", []byte("{}"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ca.pem"), nil, 0o600))
	require.NoError(t, provision.Remove(path))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, "ca.pem", entries[0].Name())
	require.NoError(t, provision.Remove(path), "removing nothing is no error")
	second, err := provision.LoadOrRequest(soon(t), path, r)
	require.NoError(t, err)
	require.NotEqual(t, first, second)

	// Certificates beside credentials of another type are none of ours.
	require.NoError(t, provision.Credentials{Type: provision.AccessToken, Token: "t"}.Save(path))
	require.NoError(t, provision.Remove(path))
	require.FileExists(t, filepath.Join(dir, "cert.pem"))
}

func TestAPlatformThatIsAwayIsTriedUntilItAnswers(t *testing.T) {
	p := newPlatform(t, nil)
	n := 0
	p.setAnswer(func(m message) ([]byte, bool) {
		if n++; n < 4 {
			return nil, false
		}
		return p.create(m), true
	})
	var log bytes.Buffer
	r := request(p)
	r.Logger = slog.New(slog.NewTextHandler(&log, nil))
	path := filepath.Join(t.TempDir(), ".credentials")
	c, err := provision.LoadOrRequest(soon(t), path, r)
	require.NoError(t, err)
	asked := p.asked()
	require.Len(t, asked, 4)
	for _, m := range asked {
		require.Equal(t, asked[0], m, "a later attempt asks for something else")
	}
	require.Equal(t, asked[0].Token, c.Token)
	require.Equal(t, 1, strings.Count(log.String(), "level=WARN"), "one warning per change of state")
	require.NotContains(t, log.String(), c.Token)

	p.setAnswer(func(message) ([]byte, bool) { return nil, false })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = provision.LoadOrRequest(ctx, path+"2", r)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestARejectionIsNotTriedAgain(t *testing.T) {
	p := newPlatform(t, nil)
	r := request(p)
	r.Key = "other"
	path := filepath.Join(t.TempDir(), ".credentials")
	_, err := provision.LoadOrRequest(soon(t), path, r)
	require.ErrorIs(t, err, provision.ErrRejected)
	require.Len(t, p.asked(), 1)
	require.Empty(t, p.loggedIn())
	require.NoFileExists(t, path+".pending", "what was rejected would be asked for again")
}

// The platform creates a device once. Its answer is lost, and the second
// request is refused.
func TestALostAnswerDoesNotLoseTheDevice(t *testing.T) {
	for _, typ := range []provision.Type{provision.AccessToken, provision.MQTTBasic} {
		p := newPlatform(t, nil)
		lost := false
		p.setAnswer(func(m message) ([]byte, bool) {
			answer := p.create(m)
			if !lost {
				lost = true
				return nil, false
			}
			return answer, true
		})
		r := request(p)
		r.Type, r.DeviceName = typ, "Fixed"
		path := filepath.Join(t.TempDir(), ".credentials")
		c, err := provision.LoadOrRequest(soon(t), path, r)
		require.NoError(t, err)
		require.Len(t, p.asked(), 2)
		require.Equal(t, p.asked()[0].Token, c.Token)
		require.Equal(t, p.asked()[0].Password, c.Password)
		require.Len(t, p.loggedIn(), 1, "the credentials were not tried")
		saved, err := provision.Load(path)
		require.NoError(t, err)
		require.Equal(t, c, saved)
		require.NoFileExists(t, path+".pending")
	}
}

func TestALostAnswerDoesNotLoseACertificate(t *testing.T) {
	certs := peer.NewCerts(t)
	p := newPlatform(t, &tls.Config{
		Certificates: []tls.Certificate{certs.Server}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12,
	})
	lost := false
	p.setAnswer(func(m message) ([]byte, bool) {
		answer := p.create(m)
		if !lost {
			lost = true
			return nil, false
		}
		return answer, true
	})
	r := request(p)
	r.Broker, r.Type = "tls://"+p.addr(), provision.X509
	r.TLS = &tls.Config{RootCAs: certs.Roots, MinVersion: tls.VersionTLS12}
	path := filepath.Join(t.TempDir(), ".credentials")
	c, err := provision.LoadOrRequest(soon(t), path, r)
	require.NoError(t, err)
	require.Equal(t, p.asked()[0].Hash, c.Certificate)
	require.Len(t, p.loggedIn(), 1)
	saved, err := provision.Load(path)
	require.NoError(t, err)
	require.Equal(t, c, saved)
}

// A crash between the answer and the file: the next process has only what was
// kept before asking.
func TestACrashBeforeSavingDoesNotLoseTheDevice(t *testing.T) {
	p := newPlatform(t, nil)
	path := filepath.Join(t.TempDir(), ".credentials")
	ctx, crash := context.WithCancel(t.Context())
	p.setAnswer(func(m message) ([]byte, bool) {
		p.create(m)
		crash()
		return nil, false
	})
	_, err := provision.LoadOrRequest(ctx, path, request(p))
	require.ErrorIs(t, err, context.Canceled)
	private(t, path+".pending")
	p.setAnswer(nil)

	c, err := provision.LoadOrRequest(soon(t), path, request(p))
	require.NoError(t, err)
	require.Len(t, p.asked(), 2)
	require.Equal(t, p.asked()[0].Token, c.Token)
	require.Equal(t, []string{c.Token}, p.loggedIn())

	// What was chosen for another request is not used.
	require.NoError(t, provision.Remove(path))
	r := request(p)
	r.DeviceName = "Other"
	_, err = provision.LoadOrRequest(soon(t), path, r)
	require.NoError(t, err)
	require.NotEqual(t, c.Token, p.asked()[2].Token)
}

func TestAPendingChoiceForAnotherRequestIsDropped(t *testing.T) {
	for _, change := range []func(*provision.Request){
		func(r *provision.Request) { r.DeviceName = "Other" },
		func(r *provision.Request) { r.Type = provision.MQTTBasic },
		func(r *provision.Request) { r.Token = "mine" },
	} {
		p := newPlatform(t, nil)
		path := filepath.Join(t.TempDir(), ".credentials")
		ctx, crash := context.WithCancel(t.Context())
		p.setAnswer(func(message) ([]byte, bool) { crash(); return nil, false })
		_, err := provision.LoadOrRequest(ctx, path, request(p))
		require.Error(t, err)
		p.setAnswer(nil)
		r := request(p)
		change(&r)
		_, err = provision.LoadOrRequest(soon(t), path, r)
		require.NoError(t, err)
		first, second := p.asked()[0], p.asked()[1]
		require.NotEqual(t, first.DeviceName, second.DeviceName)
		require.NotEqual(t, first.Token, second.Token)
	}
}

// The device exists, but not by us: what was chosen is refused.
func TestCredentialsThatThePlatformRefusesAreNotKept(t *testing.T) {
	p := newPlatform(t, nil)
	n := 0
	p.setAnswer(func(message) ([]byte, bool) {
		if n++; n == 1 {
			return nil, false
		}
		return []byte(`{"status":"FAILURE","errorMsg":"exists"}`), true
	})
	path := filepath.Join(t.TempDir(), ".credentials")
	_, err := provision.LoadOrRequest(soon(t), path, request(p))
	require.ErrorIs(t, err, provision.ErrRejected)
	require.Len(t, p.loggedIn(), 1)
	require.NoFileExists(t, path)
}

func TestAFileThatCannotBeReadIsNotReplaced(t *testing.T) {
	p := newPlatform(t, nil)
	dir := t.TempDir()
	_, err := provision.LoadOrRequest(soon(t), dir, request(p))
	require.Error(t, err)
	require.Empty(t, p.asked(), "a device was created for credentials that exist")

	path := filepath.Join(dir, ".credentials")
	require.NoError(t, os.WriteFile(path, []byte("torn"), 0o600))
	var log bytes.Buffer
	r := request(p)
	r.Logger = slog.New(slog.NewTextHandler(&log, nil))
	_, err = provision.LoadOrRequest(soon(t), path, r)
	require.NoError(t, err)
	require.Contains(t, log.String(), "not usable")
}

func TestNothingIsAskedForThatCannotBeKept(t *testing.T) {
	p := newPlatform(t, nil)
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err := provision.LoadOrRequest(soon(t), filepath.Join(path, "folder", ".credentials"), request(p))
	require.Error(t, err)
	require.Empty(t, p.asked())
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"status":"SUCCESS","credentialsType":"ACCESS_TOKEN","credentialsValue":"abc"}`))
	f.Add([]byte(`{"status":"SUCCESS","credentialsType":"MQTT_BASIC","credentialsValue":{"clientId":"c"}}`))
	f.Add([]byte(`{"status":"NOT_FOUND","errorMsg":"no"}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, doc []byte) {
		path := filepath.Join(dir, ".credentials")
		require.NoError(t, os.WriteFile(path, doc, 0o600))
		c, err := provision.Load(path)
		if err != nil {
			return
		}
		require.NoError(t, c.Save(path))
		again, err := provision.Load(path)
		require.NoError(t, err)
		require.Equal(t, c, again)
	})
}
