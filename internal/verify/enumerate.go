package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/progress"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/transport"
)

// siteCollections lists all sites of the tenant through Microsoft Graph, which
// alone knows all geographies.
func (s *subject) siteCollections(ctx context.Context, takes need) task.Result {
	client, err := s.graphClient()
	if err != nil {
		return s.fail("", err, takes)
	}
	all, err := s.list(ctx, client)
	late, _ := errors.AsType[*advice.CutShortError](err)
	switch {
	case late != nil:
		return s.fail("", err, takes)
	case err != nil && all.Count > 0:
		r := s.fail("", err, takes)
		r.Finding = short("after " + collections(all.Count) + ": " + r.Finding)
		return r
	case err != nil:
		return s.fail("", err, takes)
	case all.Count == 0:
		return s.fail("", &advice.NoSitesError{}, takes)
	}
	r := pass(enumerated(all))
	r.Details = details(all)
	return r
}

// spare is how long before its time is up a list ends, to tell what it has by then.
const spare = 250 * time.Millisecond

// list reads all sites: until the time is up (*advice.CutShortError), or until nothing
// was heard of Microsoft Graph for as long as any check may take.
func (s *subject) list(ctx context.Context, client *graph.Client) (graph.Enumeration, error) {
	reading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		reading, cancel = context.WithDeadline(reading, end.Add(-spare))
		defer cancel()
	}
	silence := time.AfterFunc(s.o.Limit, func() { stop(errSilent) })
	defer silence.Stop()
	reading = progress.With(reading, func(u progress.Update) {
		if !u.Until.IsZero() { // it was heard, and asks to wait
			silence.Reset(max(u.Until.Sub(s.o.Clock.Now()), 0) + s.o.Limit)
		}
		progress.Report(ctx, u)
	})
	all, err := client.Sites(reading, func(e graph.Enumeration) {
		silence.Reset(s.o.Limit)
		s.listed.add(addresses(e.First))
		progress.Report(ctx, progress.Update{Text: fmt.Sprintf("%s, page %s", collections(e.Count), thousands(e.Pages))})
	})
	switch {
	case err == nil || reading.Err() == nil || errors.Is(ctx.Err(), context.Canceled):
		return all, err
	case all.Count > 0 && !errors.Is(context.Cause(reading), errSilent):
		return all, &advice.CutShortError{Listed: collections(all.Count)}
	}
	host := strings.TrimPrefix(s.target.Cloud.Graph, "https://")
	return all, &transport.Error{Kind: transport.KindTimeout, Host: host, Err: context.DeadlineExceeded}
}

var errSilent = errors.New("nothing was heard for too long")

// enumerated is the finding: how many, and the names of the first as far as they fit.
func enumerated(e graph.Enumeration) string {
	text := collections(e.Count)
	if n := len(e.Geos); n > 1 {
		text += fmt.Sprintf(" in %d geographies", n)
	}
	sep := ": "
	for _, one := range e.First {
		name := nameOf(one)
		if name == "" {
			continue
		}
		if len([]rune(text+sep+name+", …")) > mostFinding {
			break
		}
		text += sep + name
		sep = ", "
	}
	if sep == ", " && e.Count > len(e.First) {
		text += sep + "…"
	}
	return text
}

// details are the first sites with their addresses, and the counts behind the sum.
func details(e graph.Enumeration) []string {
	var out []string
	for _, one := range e.First {
		out = append(out, lines(nameOf(one), one.WebURL)...)
	}
	if len(e.Geos) > 1 {
		for _, geo := range slices.Sorted(maps.Keys(e.Geos)) {
			out = append(out, transport.CleanText(geo, 20)+": "+collections(e.Geos[geo]))
		}
	}
	if e.Personal > 0 {
		out = append(out, "OneDrive: "+collections(e.Personal)+" of these")
	}
	return out
}

// lines is one line with a name and an address, as far as there are any.
func lines(name, address string) []string {
	text := strings.TrimSpace(transport.CleanText(name, 80) + "  " + transport.CleanText(address, 300))
	if text == "" {
		return nil
	}
	return []string{text}
}

// nameOf is what a site is called; one without a name is called by its address.
func nameOf(one graph.Site) string {
	if name := transport.CleanText(one.Name, 80); name != "" {
		return name
	}
	path := strings.Trim(pathOf(one.WebURL), "/")
	return transport.CleanText(path[strings.LastIndexByte(path, '/')+1:], 80)
}

// collections writes "1 site collection", "5,000 site collections".
func collections(n int) string {
	if n == 1 {
		return "1 site collection"
	}
	return thousands(n) + " site collections"
}

// thousands writes a number as people read it: 5,000.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func addresses(sites []graph.Site) []string {
	list := make([]string, len(sites))
	for i, one := range sites {
		list[i] = one.WebURL
	}
	return list
}

// listed are the addresses of the first sites of the list, for whoever needs one of them
// while it is still being read.
type listed struct {
	mu    sync.Mutex
	first []string
	ended bool
	news  chan struct{} // closed when first or ended changes
}

func newListed() *listed { return &listed{news: make(chan struct{})} }

func (l *listed) add(first []string) { l.change(func() { l.first = first }) }

// end says that no more will come.
func (l *listed) end() { l.change(func() { l.ended = true }) }

func (l *listed) change(do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	do()
	close(l.news)
	l.news = make(chan struct{})
}

// find waits for a site that fits; "" when the list holds none.
func (l *listed) find(ctx context.Context, fits func(address string) bool) string {
	for {
		l.mu.Lock()
		first, ended, news := l.first, l.ended, l.news
		l.mu.Unlock()
		if i := slices.IndexFunc(first, fits); i >= 0 {
			return first[i]
		}
		if ended {
			return ""
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ""
		}
	}
}
