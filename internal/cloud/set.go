package cloud

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/atomicfile"
	"github.com/c2conn/c2conn/internal/privatefile"
)

const extension = ".yaml"

// Set holds the built-in clouds and those of the user. It is read once by Load
// and follows its own Add and Remove, not those of other processes.
// It is not safe for use by several goroutines while Add or Remove runs.
type Set struct {
	dir     string // DIR/clouds
	clouds  []Cloud
	damaged map[string]error // by name
}

// Load reads the definitions under dir/clouds; a folder that does not exist is
// an empty one. A damaged definition, or one that others can write, never hides
// the others: its name answers with the error in Find, and Damaged lists it.
func Load(dir string) (*Set, error) {
	s := &Set{dir: filepath.Join(dir, "clouds"), clouds: builtIn(), damaged: map[string]error{}}
	untrusted := privatefile.Folder(dir, s.dir)
	if errors.Is(untrusted, fs.ErrNotExist) {
		return s, nil
	}
	var rights *connections.PermissionError
	if untrusted != nil && !errors.As(untrusted, &rights) {
		return nil, fmt.Errorf("the cloud definitions cannot be read: %w", untrusted)
	}
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil // the state folder is not trusted, but there is no definition that could come from it
	}
	if err != nil {
		return nil, fmt.Errorf("the cloud definitions cannot be read: %w", cmp.Or(untrusted, err))
	}
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), extension)
		if !ok || strings.HasPrefix(name, ".") {
			continue // temporary files and what others put here
		}
		// Where others can write to the folder, none of its definitions counts; the
		// built-in clouds still do.
		c, err := Cloud{}, untrusted
		if err == nil {
			c, err = readFile(filepath.Join(s.dir, entry.Name()), name)
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since
		}
		if err != nil {
			if !reserved(name) {
				s.damaged[name] = err
			}
			continue
		}
		s.clouds = append(s.clouds, c)
	}
	return s, nil
}

func readFile(path, name string) (Cloud, error) {
	data, err := privatefile.Read(path, maxDefinition)
	var damaged *connections.DamagedError
	if errors.As(err, &damaged) { // not a regular file, or too large
		return Cloud{}, &DefinitionError{Path: path, Text: damaged.Err.Error() + "; move it away"}
	}
	if err != nil {
		return Cloud{}, fmt.Errorf("the definition of the cloud %q cannot be used: %w", name, err)
	}
	c, err := Parse(data)
	var bad *DefinitionError
	if errors.As(err, &bad) {
		bad.Path = path
		return Cloud{}, bad
	}
	if err != nil {
		return Cloud{}, err
	}
	if c.Name != name {
		return Cloud{}, &DefinitionError{Path: path, Key: "name", Text: fmt.Sprintf("the file is named after %q but defines %q; rename one of them", name, c.Name)}
	}
	return c, nil
}

// Find gives the cloud called name, in any case. Errors: *UnknownError,
// *RetiredError, or what is wrong with the user's definition of that name
// (*DefinitionError, *connections.PermissionError).
func (s *Set) Find(name string) (Cloud, error) {
	wanted := strings.ToLower(strings.TrimSpace(name))
	for _, c := range s.clouds {
		if c.Name == wanted {
			return c, nil
		}
	}
	if retired(wanted) {
		return Cloud{}, &RetiredError{Name: wanted}
	}
	if err, ok := s.damaged[wanted]; ok {
		return Cloud{}, err
	}
	return Cloud{}, &UnknownError{Name: shorten(name), Known: s.names(), Hint: hint(wanted)}
}

func (s *Set) names() []string {
	var names []string
	for _, c := range s.List() {
		names = append(names, c.Name)
	}
	return names
}

// List gives all usable clouds: the built-in ones in their fixed order, then the
// user's by name.
func (s *Set) List() []Cloud {
	list := append([]Cloud(nil), s.clouds...)
	sort.SliceStable(list, func(i, j int) bool {
		if list[i].BuiltIn != list[j].BuiltIn {
			return list[i].BuiltIn
		}
		return !list[i].BuiltIn && list[i].Name < list[j].Name
	})
	return list
}

// Damaged gives what is wrong with definitions that cannot be used, by name.
func (s *Set) Damaged() []error {
	names := make([]string, 0, len(s.damaged))
	for name := range s.damaged {
		names = append(names, name)
	}
	sort.Strings(names)
	errs := make([]error, 0, len(names))
	for _, name := range names {
		// A folder that is not trusted is one problem, however many files it holds.
		if err := s.damaged[name]; !slices.Contains(errs, err) {
			errs = append(errs, err)
		}
	}
	return errs
}

// Add checks a definition and keeps it as it was written. An existing definition
// of the name is replaced only when replace is true (ErrExists otherwise).
func (s *Set) Add(ctx context.Context, data []byte, replace bool) (Cloud, error) {
	if err := ctx.Err(); err != nil {
		return Cloud{}, err
	}
	c, err := Parse(data)
	if err != nil {
		return Cloud{}, err
	}
	if err := privatefile.Folder(filepath.Dir(s.dir), s.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Cloud{}, fmt.Errorf("the cloud %q cannot be saved: %w", c.Name, err)
	}
	err = connections.Full(filepath.Join(s.dir, c.Name+extension), atomicfile.Write(s.dir, c.Name+extension, data, replace))
	if errors.Is(err, fs.ErrExist) {
		return Cloud{}, fmt.Errorf("cloud %q: %w; use --replace to put this definition in its place", c.Name, ErrExists)
	}
	if err != nil {
		return Cloud{}, fmt.Errorf("the cloud %q cannot be saved: %w", c.Name, err)
	}
	s.forget(c.Name)
	s.clouds = append(s.clouds, c)
	return c, nil
}

// Remove deletes the user's definition of name, a damaged one too.
func (s *Set) Remove(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	wanted := strings.ToLower(strings.TrimSpace(name))
	_, isDamaged := s.damaged[wanted]
	if !isDamaged {
		c, err := s.Find(wanted)
		if err != nil {
			return err
		}
		if c.BuiltIn {
			return fmt.Errorf("cloud %q cannot be removed: %w", wanted, ErrBuiltIn)
		}
	}
	// wanted is the name of a file that Load or Add saw: it holds no separator.
	if err := os.Remove(filepath.Join(s.dir, wanted+extension)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the cloud %q cannot be removed: %w", wanted, err)
	}
	s.forget(wanted)
	return nil
}

func (s *Set) forget(name string) {
	delete(s.damaged, name)
	kept := make([]Cloud, 0, len(s.clouds))
	for _, c := range s.clouds {
		if c.Name != name {
			kept = append(kept, c)
		}
	}
	s.clouds = kept
}
