package framing_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/framing"
)

// pieces is a stream that arrives in the given pieces; an empty one is a silence
// that is longer than any gap.
type pieces struct {
	left     []string
	deadline bool
}

func (p *pieces) SetReadDeadline(t time.Time) error {
	p.deadline = !t.IsZero()
	return nil
}

func (p *pieces) Read(b []byte) (int, error) {
	for len(p.left) > 0 && p.left[0] == "" {
		p.left = p.left[1:]
		if p.deadline {
			return 0, os.ErrDeadlineExceeded
		}
	}
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.left[0])
	if p.left[0] = p.left[0][n:]; p.left[0] == "" {
		p.left = p.left[1:]
	}
	return n, nil
}

// all returns the messages of a stream, with "!" for one that is too long.
func all(t *testing.T, f framing.Format, in ...string) (out []string) {
	t.Helper()
	require.NoError(t, f.Check())
	r := framing.NewReader(&pieces{left: in}, f)
	for {
		m, err := r.Next()
		switch {
		case errors.Is(err, framing.ErrTooLong):
			out = append(out, "!")
		case err != nil:
			require.ErrorIs(t, err, io.EOF)
			return out
		default:
			require.NotEmpty(t, m)
			out = append(out, string(m))
		}
		require.Less(t, len(out), 10_000)
	}
}

func TestMessages(t *testing.T) {
	prefix := &framing.Length{Offset: 1, Size: 2, Adjust: 3}
	for name, c := range map[string]struct {
		f        framing.Format
		in, want []string
	}{
		"coalesced and torn":       {framing.Format{Delimiter: []byte("\r\n")}, []string{"a\r\nbc\r", "\nd", "ef\r\n"}, []string{"a", "bc", "def"}},
		"delimiters are kept":      {framing.Format{Delimiter: []byte("\r\n"), Keep: true}, []string{"a\r", "\n\r\nb\r\nc"}, []string{"a\r\n", "b\r\n"}},
		"empty ones are none":      {framing.Format{Delimiter: []byte(";")}, []string{";;a;;"}, []string{"a"}},
		"unfinished at the end":    {framing.Format{Delimiter: []byte(";")}, []string{"a;b"}, []string{"a"}},
		"silence ends it":          {framing.Format{Delimiter: []byte(";"), Gap: 1}, []string{"a;b", "", "c;d"}, []string{"a", "b", "c", "d"}},
		"too long":                 {framing.Format{Delimiter: []byte(";"), Max: 3}, []string{"abc;abcd;ab", "cdefghijkl", "m;ok;"}, []string{"abc", "!", "!", "ok"}},
		"counted":                  {framing.Format{Length: prefix}, []string{"x\x00", "\x02ab", "y\x00\x00z\x00\x01", "c"}, []string{"x\x00\x02ab", "y\x00\x00", "z\x00\x01c"}},
		"counted, little, bare":    {framing.Format{Length: &framing.Length{Size: 2, Little: true, Adjust: 2, Strip: true}}, []string{"\x01\x00a\x00\x00\x02\x00bc"}, []string{"a", "bc"}},
		"counted, out of step":     {framing.Format{Length: prefix, Gap: 1}, []string{"x\xff\xffjunk", "more", "", "x\x00\x01a"}, []string{"!", "x\x00\x01a"}},
		"counted, fragment":        {framing.Format{Length: prefix, Gap: 1}, []string{"x\x00\x09a", "", "x\x00\x01a"}, []string{"x\x00\x01a"}},
		"counted below its head":   {framing.Format{Length: &framing.Length{Offset: 4, Size: 1}}, []string{"abcd\x01"}, []string{"!"}},
		"fixed":                    {framing.Format{Fixed: 3}, []string{"abcd", "efg"}, []string{"abc", "def"}},
		"fixed, fragment":          {framing.Format{Fixed: 3, Gap: 1}, []string{"abcd", "", "efg"}, []string{"abc", "efg"}},
		"silence":                  {framing.Format{Gap: 1}, []string{"ab", "c", "", "d", "", "", "e"}, []string{"abc", "d", "e"}},
		"silence, too long":        {framing.Format{Gap: 1, Max: 3}, []string{"abcdef", "gh", "", "i"}, []string{"!", "i"}},
		"nothing but reads":        {framing.Format{}, []string{"ab", "c", "", "d"}, []string{"ab", "c", "d"}},
		"a delimiter in two parts": {framing.Format{Delimiter: []byte("--"), Max: 2}, []string{"abc-", "-d--"}, []string{"!", "d"}},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.want, all(t, c.f, c.in...)) })
	}
}

func TestABadFormatIsRefused(t *testing.T) {
	for want, f := range map[string]framing.Format{
		"exclude":        {Delimiter: []byte("x"), Fixed: 1},
		"fixed size":     {Fixed: -1},
		"between 1 and":  {Fixed: 10, Max: 9},
		"gap":            {Gap: -1},
		"largest size":   {Max: -1},
		"delimiter is":   {Delimiter: make([]byte, 10), Max: 9},
		"1 to 4 bytes":   {Length: &framing.Length{Size: 5}},
		"at 70000":       {Length: &framing.Length{Size: 1, Offset: 70_000}},
		"a length of 0":  {Length: &framing.Length{}},
		"bytes at -1":    {Length: &framing.Length{Size: 1, Offset: -1}},
		"within the mes": {Length: &framing.Length{Size: 4, Offset: 6}, Max: 9},
	} {
		assert.ErrorContains(t, f.Check(), want)
	}
}

// On a connection the gap is that of the clock, and the time before the first byte
// of a message is no gap.
func TestTheGapIsTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		go func() {
			defer far.Close()
			time.Sleep(time.Hour)
			for _, s := range []string{"a", "b"} {
				_, _ = far.Write([]byte(s))
				time.Sleep(900 * time.Millisecond)
			}
			time.Sleep(200 * time.Millisecond)
			_, _ = far.Write([]byte("c"))
		}()
		r := framing.NewReader(near, framing.Format{Gap: time.Second})
		for _, want := range []string{"ab", "c"} {
			m, err := r.Next()
			require.NoError(t, err)
			assert.Equal(t, want, string(m))
		}
		_, err := r.Next()
		require.ErrorIs(t, err, io.EOF)
	})
}

func TestLargeMessagesAndNoAllocation(t *testing.T) {
	big := strings.Repeat("x", 60_000)
	got := all(t, framing.Format{Delimiter: []byte("\n")}, big+"\n"+big, "\ny\n")
	assert.Equal(t, []string{big, big, "y"}, got)

	in := strings.Repeat(strings.Repeat("m", 100)+"\n", 10_000)
	r := framing.NewReader(&pieces{left: []string{in}}, framing.Format{Delimiter: []byte("\n")})
	_, err := r.Next()
	require.NoError(t, err)
	assert.Zero(t, testing.AllocsPerRun(5000, func() { _, _ = r.Next() }))
}

// Whatever the pieces, the messages are the same; and nothing makes it panic.
func FuzzReader(f *testing.F) {
	f.Add([]byte("ab;c;;d"), uint8(0), uint8(3))
	f.Add([]byte("x\x00\x02ab\xff\xff"), uint8(1), uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, kind, step uint8) {
		format := []framing.Format{
			{Delimiter: []byte(";;"), Max: 20},
			{Length: &framing.Length{Offset: 1, Size: 2, Adjust: 1}, Max: 300},
			{Fixed: 7},
			{Length: &framing.Length{Size: 4, Little: true, Strip: true}},
		}[kind%4]
		var torn []string
		for rest := in; len(rest) > 0; {
			n := min(len(rest), 1+int(step)%9)
			torn, rest = append(torn, string(rest[:n])), rest[n:]
		}
		if kind%4 == 1 || kind%4 == 3 {
			all(t, format, torn...) // out of step, it depends on the pieces what is skipped
			return
		}
		whole, parts := all(t, format, string(in)), all(t, format, torn...)
		clean := func(ms []string) string { return strings.Join(ms, "\x00") }
		if kind%4 == 2 || !bytes.Contains([]byte(clean(whole)+clean(parts)), []byte("!")) {
			assert.Equal(t, whole, parts)
		}
	})
}
