package cloud

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

func load(t *testing.T, dir string) *Set {
	t.Helper()
	s, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func names(s *Set) []string {
	var all []string
	for _, c := range s.List() {
		all = append(all, c.Name)
	}
	return all
}

func TestFindUnknownAndRetired(t *testing.T) {
	t.Parallel()
	s := load(t, t.TempDir())
	for _, name := range []string{"germany", "DE", " Germany "} {
		var retired *RetiredError
		_, err := s.Find(name)
		if !errors.Is(err, ErrRetired) || !errors.As(err, &retired) || !strings.Contains(err.Error(), "2021-10-29") || !strings.Contains(err.Error(), `"global"`) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for name, want := range map[string]string{
		"moon":         "known clouds: global, usgov, dod, china; another",
		"":             "known clouds",
		"GCC-High":     "you probably mean usgov",
		"gcc":          "you probably mean global",
		"21Vianet":     "you probably mean china",
		"usgovdod":     "you probably mean dod",
		"\x1b]0;x\x07": `"\x1b]0;x\a"`,
	} {
		var unknown *UnknownError
		_, err := s.Find(name)
		if !errors.Is(err, ErrUnknown) || !errors.As(err, &unknown) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestAddListRemove(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := filepath.Join(t.TempDir(), "state")
	s := load(t, dir)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load created %s", dir)
	}
	other := strings.Replace(minimal, "name: sim", "name: another", 1)
	text := "# kept as written\n" + minimal
	for _, d := range []string{text, other} {
		if _, err := s.Add(ctx, []byte(d), false); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"global", "usgov", "dod", "china", "another", "sim"}
	if !slices.Equal(names(s), want) || !slices.Equal(names(load(t, dir)), want) {
		t.Errorf("%v, again %v", names(s), names(load(t, dir)))
	}
	path := filepath.Join(dir, "clouds", "sim.yaml")
	if data, err := os.ReadFile(path); err != nil || string(data) != text {
		t.Errorf("%q, %v", data, err)
	}
	if runtime.GOOS != "windows" {
		checkMode(t, path, 0o600)
		checkMode(t, filepath.Dir(path), 0o700)
	}
	changed := strings.Replace(minimal, "8444", "9444", 1)
	if _, err := s.Add(ctx, []byte(changed), false); !errors.Is(err, ErrExists) {
		t.Errorf("got %v", err)
	}
	if c, err := s.Find("sim"); err != nil || c.Graph != "https://localhost:8444" {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := s.Add(ctx, []byte(changed), true); err != nil {
		t.Fatal(err)
	}
	for _, again := range []*Set{s, load(t, dir)} {
		if c, err := again.Find("SIM"); err != nil || c.Graph != "https://localhost:9444" {
			t.Errorf("%+v, %v", c, err)
		}
	}
	if err := s.Remove(ctx, "sim"); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(ctx, "sim"); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
	if err := s.Remove(ctx, "global"); !errors.Is(err, ErrBuiltIn) {
		t.Errorf("got %v", err)
	}
	if err := s.Remove(ctx, "../sim"); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
	if got := names(load(t, dir)); !slices.Equal(got, []string{"global", "usgov", "dod", "china", "another"}) {
		t.Errorf("left: %v", got)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left in the folder: %v, %v", entries, err)
	}
}

func checkMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != want {
		t.Errorf("%s: %v, %v", path, info, err)
	}
}

func TestAddRefusesBadDefinitionsAndACancelledContext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := load(t, dir)
	if _, err := s.Add(t.Context(), []byte("name: global\n"), true); err == nil {
		t.Error("a built-in cloud was replaced")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Add(ctx, []byte(minimal), false); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := s.Remove(ctx, "sim"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "clouds"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(t.Context(), []byte(minimal), false); err == nil {
		t.Error("saved without a folder")
	}
	if _, err := Load(dir); err == nil {
		t.Error("loaded without a folder")
	}
}

func TestDamagedDefinitionsHideNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clouds := filepath.Join(dir, "clouds")
	if err := os.MkdirAll(filepath.Join(clouds, "folder.yaml"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"sim.yaml":       minimal,
		"half.yaml":      minimal[:20],
		"renamed.yaml":   minimal,
		"big.yaml":       strings.Repeat("#", maxDefinition+1),
		"global.yaml":    strings.Replace(minimal, "sim", "global", 1),
		".sim.yaml.1234": "left by a crash",
		"notes.txt":      "mine",
	} {
		if err := os.WriteFile(filepath.Join(clouds, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := load(t, dir)
	if got := names(s); !slices.Equal(got, []string{"global", "usgov", "dod", "china", "sim"}) {
		t.Errorf("got %v", got)
	}
	if c, err := s.Find("global"); err != nil || !c.BuiltIn {
		t.Errorf("%+v, %v", c, err)
	}
	damaged := s.Damaged()
	if len(damaged) != 4 {
		t.Fatalf("got %v", damaged)
	}
	for i, name := range []string{"big", "folder", "half", "renamed"} {
		var typed *DefinitionError
		_, err := s.Find(name)
		if !errors.As(err, &typed) || typed.Path != filepath.Join(clouds, name+".yaml") || !errors.Is(damaged[i], err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.Remove(t.Context(), "half"); err != nil {
		t.Error(err)
	}
	if _, err := s.Add(t.Context(), []byte(strings.Replace(minimal, "sim", "renamed", 1)), true); err != nil {
		t.Error(err)
	}
	if got := len(load(t, dir).Damaged()); got != 2 {
		t.Errorf("%d are still damaged", got)
	}
}

func TestAddSideBySideLetsOneWin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var wg sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		wg.Go(func() {
			s, err := Load(dir)
			if err == nil {
				_, err = s.Add(context.Background(), []byte(minimal), false)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, ErrExists):
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d calls believe that they added the cloud", won)
	}
}
