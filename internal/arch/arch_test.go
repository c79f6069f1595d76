// Package arch checks the rules that hold for the module as a whole.
package arch_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/gridlinks/iot-gateway"

// list returns the lines that `go list` prints for the given arguments, run at
// the module's root.
func list(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	return strings.Fields(string(out))
}

// The core packages import the standard library only, so whoever links them
// links nothing else.
func TestTheCoreImportsTheStandardLibraryOnly(t *testing.T) {
	for _, dep := range list(t, "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}",
		"./telemetry", "./connector/...", "./converter", "./eventstore", "./eventstore/memstore", "./eventstore/filestore",
		"./eventstore/storetest", "./gateway") {
		require.True(t, strings.HasPrefix(dep, module), "a core package imports %s", dep)
	}
}

// A protocol depends on the contract, and not on who runs it or on another
// protocol; a profile may import its protocol.
func TestProtocolsAreIndependent(t *testing.T) {
	for _, line := range list(t, "-f", `{{$p := .ImportPath}}{{range .Imports}}{{$p}}>{{.}} {{end}}`, "./protocols/...") {
		pkg, dep, _ := strings.Cut(line, ">")
		dep, ours := strings.CutPrefix(dep, module+"/")
		if !ours {
			continue
		}
		for _, forbidden := range []string{"gateway", "tbclient", "eventstore"} {
			require.False(t, dep == forbidden || strings.HasPrefix(dep, forbidden+"/"), "%s imports %s", pkg, dep)
		}
		if strings.HasPrefix(dep, "protocols/") && !strings.HasSuffix(pkg, "/all") {
			require.Equal(t, protocol(strings.TrimPrefix(pkg, module+"/")), protocol(dep), "%s imports another protocol", pkg)
		}
	}
}

func protocol(path string) string { return strings.Join(strings.SplitN(path, "/", 3)[:2], "/") }

// The event stores know nothing of the gateway.
func TestStoresAreIndependent(t *testing.T) {
	for _, dep := range list(t, "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./eventstore/memstore", "./eventstore/filestore") {
		require.True(t, strings.HasPrefix(dep, module+"/eventstore") || strings.HasPrefix(dep, module+"/internal/"), dep)
	}
}

// Several gateways can live in one process: nothing happens by importing.
func TestNoPackageHasAnInitFunction(t *testing.T) {
	require.NoError(t, filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				require.NotEqual(t, "init", f.Name.Name, path)
			}
		}
		return nil
	}))
}

// Programs in the documentation are those that are compiled and tested: a block
// under a line that names a file is a part of that file.
func TestProgramsInTheDocumentationAreReal(t *testing.T) {
	block := regexp.MustCompile("(?ms)^<!-- (\\S+) -->\n```go\n(.*?)^```$")
	docs, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	found := 0
	for _, doc := range append(docs, "../../README.md") {
		text, err := os.ReadFile(doc)
		require.NoError(t, err)
		require.Len(t, block.FindAll(text, -1), bytes.Count(text, []byte("```go\n")), "%s: a Go block does not say which file it is from", doc)
		for _, m := range block.FindAllSubmatch(text, -1) {
			source, err := os.ReadFile(filepath.Join("../..", string(m[1])))
			require.NoError(t, err)
			require.Contains(t, string(source), string(m[2]), "%s shows what is not in %s", doc, m[1])
			found++
		}
	}
	require.NotZero(t, found)
}
