package connections

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// List returns all connections, sorted by name. A file that cannot be used is
// an Entry with Err and never hides the others. It fails only where the
// directory itself cannot be read or trusted.
func (s *Store) List(ctx context.Context) ([]Entry, error) { return s.list(ctx, false) }

// list is List for a caller that may hold the lock.
func (s *Store) list(ctx context.Context, locked bool) ([]Entry, error) {
	if err := s.checkDirs(s.connections); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	index := s.readIndex()
	files, renaming, err := s.scan(ctx)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(files))
	fresh := make([]bool, len(files))
	share(len(files), lookPortion, func(i int) {
		e, f := &entries[i], files[i]
		e.Path = s.connections + string(filepath.Separator) + f.name
		if e.Err = s.disk.trusted(e.Path, f.facts); e.Err != nil {
			e.Connection.Name = nameOfFile(f.name)
			return
		}
		fresh[i] = index.lookup(f.name, f.stamp, &e.Connection)
	})
	var stale []int
	for i := range files {
		if !fresh[i] && entries[i].Err == nil {
			stale = append(stale, i)
		}
	}
	if err := s.parseAll(ctx, files, stale, entries); err != nil {
		return nil, err
	}
	s.refreshIndex(index, files, stale, entries, locked)
	if renaming {
		if i, err := s.readIntent(); err == nil && i.ID != "" && s.holds(i.To, i.ID) {
			entries = slices.DeleteFunc(entries, func(e Entry) bool {
				return e.Err == nil && e.Connection.ID == i.ID && filepath.Base(e.Path) == i.From
			})
		}
	}
	entries = sorted(entries)
	markTwins(entries)
	return entries, nil
}

// sorted orders entries by name. Their files come in an order that is nearly
// always the same, so mostly there is nothing to do.
func sorted(entries []Entry) []Entry {
	byName := func(a, b *Entry) int { return compareNames(a.Connection.Name, b.Connection.Name) }
	inOrder := true
	for i := 1; i < len(entries) && inOrder; i++ {
		inOrder = byName(&entries[i-1], &entries[i]) <= 0
	}
	if inOrder {
		return entries
	}
	// An Entry is large, so pointers are moved about and each Entry once.
	order := make([]*Entry, len(entries))
	for i := range entries {
		order[i] = &entries[i]
	}
	slices.SortStableFunc(order, byName)
	result := make([]Entry, len(entries))
	for i, e := range order {
		result[i] = *e
	}
	return result
}

// parseAll reads the files that the index does not know.
func (s *Store) parseAll(ctx context.Context, files []found, stale []int, entries []Entry) error {
	share(len(stale), 8, func(n int) {
		i := stale[n]
		if ctx.Err() != nil {
			return
		}
		c, v, err := s.load(files[i].name)
		entries[i].Connection, entries[i].Err = c, err
		if err != nil {
			entries[i].Connection = Connection{Name: nameOfFile(files[i].name)}
			return
		}
		files[i].stamp = stampOf(v.info) // of what was really read
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// share calls do for each number below n, on all processors.
func share(n, portion int, do func(int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	work := func() {
		for from := int(next.Add(int64(portion))) - portion; from < n; from = int(next.Add(int64(portion))) - portion {
			for i := from; i < min(from+portion, n); i++ {
				do(i)
			}
		}
	}
	for range min(runtime.GOMAXPROCS(0), (n+portion-1)/portion) - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
}

// lookPortion is how many files a worker looks at. Starting a thread costs as much
// as looking at some hundreds, so a small store is no work to share.
const lookPortion = 512

// markTwins reports copies of a file that were given another name but kept the
// id: an id must lead to one connection.
func markTwins(entries []Entry) {
	seen := make(map[string]int, len(entries))
	for i := range entries {
		e := &entries[i]
		if e.Err != nil {
			continue
		}
		first, twin := seen[e.Connection.ID]
		if !twin {
			seen[e.Connection.ID] = i
			continue
		}
		e.Err = &DamagedError{Path: e.Path, Err: fmt.Errorf("it has the same id as %s", entries[first].Path)}
		e.Connection = Connection{Name: e.Connection.Name}
	}
}

// found is a file in the directory of connections.
type found struct {
	name string
	facts
}

// scan lists the files that can be connections, and tells whether a rename is
// under way. As names may move while they are being listed, a scan during
// which the directory changed is made again.
func (s *Store) scan(ctx context.Context) (files []found, renaming bool, err error) {
	const tries = 8 // under constant change the last one has to do
	for range tries {
		if ctx.Err() != nil {
			return nil, false, context.Cause(ctx)
		}
		var steady bool
		files, renaming, steady, err = s.scanOnce()
		if err != nil || steady {
			break
		}
	}
	return files, renaming, err
}

func (s *Store) scanOnce() (files []found, renaming, steady bool, err error) {
	before, err := os.Stat(s.connections)
	if err != nil {
		return nil, false, false, fileError(err, s.connections)
	}
	d, err := os.Open(s.connections)
	if err != nil {
		return nil, false, false, dirError(err, s.connections)
	}
	defer d.Close() //nolint:errcheck // only read
	names, err := d.ReadDir(-1)
	if err != nil {
		return nil, false, false, dirError(err, s.connections)
	}
	files = make([]found, 0, len(names))
	for _, e := range names {
		if name := e.Name(); connectionFile(name) {
			files = append(files, found{name: name})
		} else if name == intentName {
			renaming = true
		}
	}
	errs := make([]error, len(files))
	share(len(files), lookPortion, func(i int) { files[i].facts, errs[i] = statAt(d, files[i].name) })
	steady = true
	kept := files[:0]
	for i, f := range files {
		switch {
		case errs[i] == nil:
			kept = append(kept, f)
		case errors.Is(errs[i], fs.ErrNotExist):
			steady = false // moved since; its new name may have been missed
		default:
			return nil, false, false, fileError(errs[i], filepath.Join(s.connections, f.name))
		}
	}
	files = kept
	slices.SortFunc(files, func(a, b found) int {
		return strings.Compare(a.name[:len(a.name)-len(fileEnding)], b.name[:len(b.name)-len(fileEnding)])
	})
	after, err := os.Stat(s.connections)
	if err != nil {
		return nil, false, false, fileError(err, s.connections)
	}
	return files, renaming, steady && before.ModTime().Equal(after.ModTime()), nil
}
