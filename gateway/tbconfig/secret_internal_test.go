package tbconfig

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecretsAreMasked(t *testing.T) {
	const secret = "CANARY-1"
	for _, doc := range []string{
		`{"accessToken":"CANARY-1"}`, `{"security":{"type":"accessToken","access_token":"CANARY-1"}}`, `{"a":[{"Password":"CANARY-1"}]}`,
		`{"provisionDeviceSecret":"CANARY-1"}`, `{"tokens":["Bearer CANARY-1","b"]}`, `{"communityString":"CANARY-1"}`, `{"authKey":"CANARY-1","privKey":"CANARY-1"}`,
		`{"httpHeaders":{"Authorization":"Basic CANARY-1"}}`, `{"url":"mqtt://user:CANARY-1@host:1883/x"}`, `{"str":"Driver=x;UID=u;PWD=CANARY-1;"}`,
		`{"privateKey":"-----BEGIN PRIVATE KEY-----\nCANARY-1\n-----END PRIVATE KEY-----"}`, `{"url":"http://h/x?token=CANARY-1"}`, `{"password":{"deep":["CANARY-1"]}}`,
		`{"keyPassword":"CANARY-1","client-secret":"CANARY-1","X-API-Key":"CANARY-1"}`, `{"url":"bad://u:CANARY-1@h:%zz"}`,
	} {
		out := string(mask(json.RawMessage(doc)))
		require.NotContains(t, out, secret, doc)
		require.Contains(t, out, masked)
		back, err := unmask(json.RawMessage(out), json.RawMessage(doc))
		require.NoError(t, err, doc)
		require.JSONEq(t, doc, string(back))
		require.NotContains(t, scrub("error: "+secretsOf(t, doc), json.RawMessage(doc)), secret)
	}
}

func secretsOf(t *testing.T, doc string) (text string) {
	t.Helper()
	v, err := decodeAny(json.RawMessage(doc))
	require.NoError(t, err)
	for _, s := range secretsIn(nil, v, false) {
		text += s + " "
	}
	require.NotEmpty(t, text)
	return text
}

func TestWhatIsNoSecretIsNotMasked(t *testing.T) {
	const doc = `{"security":{"type":"accessToken","username":"u","privateKey":"key.pem","password":""},"key":"temperature","tag":"token count","url":"http://host/a?b=c@d","n":1.50,"tokenExpression":"${x}","enabled":true,"x":null}`
	require.JSONEq(t, doc, string(mask(json.RawMessage(doc))))
	require.Contains(t, string(mask(json.RawMessage(doc))), "1.50", "numbers stay as they are")
	require.Equal(t, "null", string(mask(json.RawMessage(`{`))))
}

// A secret goes back to where it was, whatever the order of the devices is, and
// never to another device.
func TestMaskedSecretsFindTheirPlace(t *testing.T) {
	old := `{"slaves":[{"host":"a","password":"A"},{"host":"b","password":"B"}],"pin":1234}`
	got, err := unmask(json.RawMessage(`{"slaves":[{"host":"b","password":"********"},{"host":"c","password":"new"},{"host":"a","password":"********"}],"pin":"********"}`), json.RawMessage(old))
	require.NoError(t, err)
	require.JSONEq(t, `{"slaves":[{"host":"b","password":"B"},{"host":"c","password":"new"},{"host":"a","password":"A"}],"pin":1234}`, string(got))
	for _, doc := range []string{
		`{"slaves":[{"host":"evil","password":"********"}]}`, `{"other":"********"}`, `{"slaves":"********"}`, `["********"]`, `"********"`,
	} {
		_, err := unmask(json.RawMessage(doc), json.RawMessage(old))
		require.ErrorContains(t, err, "is masked", doc)
	}
	two := `{"slaves":[{"host":"a","x":1,"password":"A"},{"host":"a","x":2,"password":"B"}]}`
	_, err = unmask(json.RawMessage(`{"slaves":[{"host":"z","password":"z"},{"host":"z","password":"z"},{"host":"a","password":"********"}]}`), json.RawMessage(two))
	require.ErrorContains(t, err, "slaves[2].password", "one of several is not guessed")
}

func FuzzMask(f *testing.F) {
	f.Add(`{"a":[{"password":"x"}]}`)
	f.Add(`{"url":"a://b:c@d"}`)
	f.Fuzz(func(t *testing.T, doc string) {
		raw := json.RawMessage(doc)
		out := mask(raw)
		require.True(t, json.Valid(out))
		if v, err := decodeAny(raw); err == nil {
			back, err := unmask(out, raw)
			if err == nil {
				require.Equal(t, canonical(raw), canonical(back))
			}
			_ = secretsIn(nil, v, false)
		}
	})
}
