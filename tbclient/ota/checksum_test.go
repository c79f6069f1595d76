package ota_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/tbclient/ota"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// TestChecksumsAreThoseOfThePlatform checks 1,050,000 letters against the sums
// of the platform's own test (ChecksumUtilTest.java in dao/ota/util of
// thingsboard/thingsboard, commit 2e2174248e05dafd5e57c26392c79f193fcaa93a), and
// short texts against published ones: the check value of CRC-32, and those of
// MurmurHash3 with the bytes in Guava's order.
func TestChecksumsAreThoseOfThePlatform(t *testing.T) {
	long := strings.Repeat("f", 1_050_000)
	for _, c := range []struct{ algorithm, text, sum string }{
		{"sha256", long, "b23c6c2faa06fe3f9a47b86914d08a77c9db9ce9b87fc8b6b2758db756159b2e"},
		{"md5", long, "352b53342cc1ef2a21c480656ef6ffe6"},
		{"sha384", long, "bd04277a8fc6ace52123d6d6214d2612ccdec802f361974198c44fd3df857b79f2343f010943340aeb7c51321a2d32e9"},
		{"sha512", long, "2efb6e7ef97eca294e8cc4bf731615622199fba59c2b5ed4f9a56c1f17be3522abac4f5d9fa0f95f39ff10a59c28597a263697b2d794e6686d260ffaa078da7e"},
		{"crc32", long, "4b8f2fda"},
		{"murmur3_32", long, "3d45a1dd"},
		{"murmur3_128", long, "9dbf0ffe5f6ecbb5edf207717e7870b7"},
		{"crc32", "123456789", "2639f4cb"}, // Guava's order
		{"crc32", "123456789", "cbf43926"},
		{"crc32", "s317", "1a290300"},
		{"crc32", "s317", "0003291a"},
		{"crc32", "s317", "3291a"}, // as a number
		{"murmur3_32", "hello", "47fa8b24"},
		{"murmur3_128", "hello", "029bbd41b3a7d8cb191dae486a901e5b"},
		{"md5", "hello", "5d41402abc4b2a76b9719d911017c592"},
	} {
		path := filepath.Join(t.TempDir(), "image")
		require.NoError(t, os.WriteFile(path, []byte(c.text), 0o600))
		size := int64(len(c.text))
		require.NoError(t, ota.Verify(path, c.algorithm, c.sum, size), c)
		wrong := []byte(c.sum)
		wrong[len(wrong)-1] ^= 1
		require.ErrorContains(t, ota.Verify(path, c.algorithm, string(wrong), size), "not what was announced", c)
		require.Error(t, ota.Verify(path, c.algorithm, c.sum, size+1), c)
		require.NoError(t, os.WriteFile(path, []byte(c.text+"x"), 0o600))
		require.Error(t, ota.Verify(path, c.algorithm, c.sum, size+1), c)
	}
}

func FuzzAnnounced(f *testing.F) {
	f.Add("gateway", "2", int64(100), 1.0, uint8(0), "abc", "SHA256", "")
	f.Add("", "", int64(-1), -5.5, uint8(1), "", "crc32", "http://x")
	f.Add("../..", "\x00", int64(1)<<62, 1e300, uint8(2), " ", "MURMUR3_128", " ")
	f.Fuzz(func(t *testing.T, title, version string, size int64, real float64, kind uint8, sum, algorithm, url string) {
		sizes := []telemetry.Value{telemetry.Int(size), telemetry.Float(real), telemetry.String(title), telemetry.Bool(true), {}}
		points := []telemetry.Point{
			{Key: "fw_title", Value: telemetry.String(title)},
			{Key: "fw_version", Value: telemetry.String(version)},
			{Key: "fw_size", Value: sizes[int(kind)%len(sizes)]},
			{Key: "fw_checksum", Value: telemetry.String(sum)},
			{Key: "fw_checksum_algorithm", Value: telemetry.String(algorithm)},
			{Key: "fw_url", Value: telemetry.String(url)},
		}
		const most = 1 << 20
		n, gotURL, gotAlgorithm, gotSum, problem := ota.Announced(points, most)
		if gotURL != "" || problem != nil {
			return
		}
		require.True(t, n > 0 && n <= most, n)
		require.True(t, ota.KnownAlgorithm(gotAlgorithm), gotAlgorithm)
		require.NotEmpty(t, gotSum)
	})
}

// A state file that a power cut has damaged is worth nothing, and no more.
func FuzzStateFile(f *testing.F) {
	f.Add([]byte(`{"title":"gateway","version":"2","size":10,"phase":"downloading"}`))
	f.Add([]byte(`{"title":"gateway","version":"1","size":-10,"phase":"installing"}`))
	f.Add([]byte(`{"title":"gateway","version":"2","phase":"failed","reason":7`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		synctest.Test(t, func(t *testing.T) {
			image, dir := random(150), t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "fw.json"), doc, 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "fw.bin"), []byte("left"), 0o600))
			f, i := newFake(image), &installer{}
			f.announce(pkg("2", image))
			defer run(t, ota.New(config(dir, i)), f)()
			idle(t)
			if i.installed() == 0 { // an earlier process has tried this very package
				require.Equal(t, "FAILED", f.value("fw_state"))
				require.Contains(t, strings.ToLower(string(doc)), sha(image))
				return
			}
			require.Equal(t, "UPDATED", f.value("fw_state"))
			require.Equal(t, image, i.bytes[0])
		})
	})
}
