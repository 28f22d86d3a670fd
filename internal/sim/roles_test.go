package sim

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestDoorsAreDocumented holds the permission matrix against the official one,
// which lies beside the repository where the project is developed.
func TestDoorsAreDocumented(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../../shared/schemas/graph/required-permissions.json")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the official permission tables are not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	var official map[string]map[string]struct{ Application, DelegatedWork []string }
	if err := json.Unmarshal(data, &official); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, table := range []struct {
		doors   map[string][]string
		applies bool
	}{{doors(), true}, {scopeDoors(), false}} {
		for door, wanted := range table.doors {
			method, path, _ := strings.Cut(door, " ")
			entry, ok := official[path][method]
			if !ok {
				continue // a path below a documented one
			}
			compared++
			names := entry.DelegatedWork
			if table.applies {
				names = entry.Application
			}
			var documented []string
			for _, name := range names {
				documented = append(documented, strings.TrimSuffix(name, "*"))
			}
			slices.Sort(documented)
			ours := slices.Clone(wanted)
			slices.Sort(ours)
			if !slices.Equal(ours, documented) {
				t.Errorf("%s (application %v): we open to %v, documented is %v", door, table.applies, ours, documented)
			}
		}
	}
	if compared < 40 {
		t.Errorf("only %d of our paths are documented", compared)
	}
	for route := range graphRoutes() {
		if len(doors()[route])+len(scopeDoors()[route]) == 0 {
			t.Errorf("%s has no door", route)
		}
	}
}
