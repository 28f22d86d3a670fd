// Package report writes what verifications found in the forms that other programs and
// people read: JUnit XML, Markdown, HTML and the text of Prometheus. It hides the
// forms: what each is made of, how foreign text is made harmless in it, and what of a
// report it has room for. It asks neither clock nor environment.
package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/transport"
)

// The forms of a report.
const (
	JUnit      = "junit"
	Markdown   = "markdown"
	HTML       = "html"
	Prometheus = "prometheus"
)

// Forms lists the forms, in the order in which they are offered.
func Forms() []string { return []string{JUnit, Markdown, HTML, Prometheus} }

// Report is one run of verify over any number of connections.
type Report struct {
	At          time.Time // when the run ended
	Version     string    // of c2conn
	Connections []Connection
	Problems    []Problem
}

// Connection is a connection and what was found of it.
type Connection struct {
	Profile connections.Connection // as it is saved after the run
	State   string                 // of this run, in the words of the profile; "" where Error is set
	Checks  []task.Result          // in their order
	Error   *advice.Advice         // why nothing could be checked; nil otherwise
}

// Problem is a file of the store that cannot be used.
type Problem struct {
	Path  string
	Error string
}

// Write writes r to w in one of the Forms.
func Write(w io.Writer, form string, r Report) error {
	writers := map[string]func(Report) string{JUnit: junit, Markdown: markdown, HTML: page, Prometheus: exposition}
	write := writers[form]
	if write == nil {
		return fmt.Errorf("a report has no form %q", form)
	}
	_, err := io.WriteString(w, write(r))
	return err
}

// level is how much a connection needs somebody.
type level int

const (
	bad  level = iota // it does not work, or something failed
	calm              // it works, and something is worth a look
	good
)

// level judges a connection by everything that the report says of it.
func (c Connection) level(at time.Time) level {
	failed := func(r task.Result) bool { return r.Status == task.Fail }
	warned := func(r task.Result) bool { return r.Status == task.Warn }
	switch {
	case c.Error != nil, c.State == connections.StateFailed, c.State != connections.StateWaiting && slices.ContainsFunc(c.Checks, failed):
		return bad
	case c.State != connections.StateVerified, slices.ContainsFunc(c.Checks, warned), c.Profile.Credential.ExpiresWithin(at, connections.ExpirySoon):
		return calm
	}
	return good
}

// sign stands beside the word, so that colour is not the only carrier.
func (l level) sign() string { return [...]string{"✗", "!", "✓"}[l] }

// state is the outcome in words.
func (c Connection) state() string {
	if c.Error != nil {
		return "could not be checked"
	}
	switch c.State {
	case connections.StateVerified:
		return "verified"
	case connections.StateWaiting:
		return "waiting for consent"
	case connections.StateUnverified:
		return "not verified"
	}
	return "failed"
}

// urgent sorts the connections by need, and keeps their order otherwise.
func (r Report) urgent() []Connection {
	return slices.SortedStableFunc(slices.Values(r.Connections), func(a, b Connection) int { return cmp.Compare(a.level(r.At), b.level(r.At)) })
}

// outcome is the state, and what else there is to know of a connection that works.
func (c Connection) outcome(at time.Time) string {
	if c.state() == "verified" {
		switch c.level(at) {
		case bad:
			return "verified, but a check failed"
		case calm:
			return "verified, with a warning"
		}
	}
	return c.state()
}

// counts are how many connections are at each level; a file that cannot be used is bad.
func (r Report) counts() (n [3]int) {
	n[bad] = len(r.Problems)
	for _, c := range r.Connections {
		n[c.level(r.At)]++
	}
	return n
}

// headline is the whole report in a sentence.
func (r Report) headline() string {
	n := r.counts()
	all, need := n[bad]+n[calm]+n[good], n[bad]+n[calm]
	switch {
	case all == 0:
		return "No connections"
	case need == 0 && all == 1:
		return "The connection works"
	case need == 0:
		return fmt.Sprintf("All %d connections work", all)
	case need == 1 && all == 1:
		return "The connection needs attention"
	case need == 1:
		return fmt.Sprintf("1 of %d connections needs attention", all)
	}
	return fmt.Sprintf("%d of %d connections need attention", need, all)
}

// worst is the level of the report.
func (r Report) worst() level {
	n := r.counts()
	switch {
	case n[bad] > 0:
		return bad
	case n[calm] > 0:
		return calm
	}
	return good
}

// kind is what a connection is for, in words.
func (c Connection) kind() string {
	words := map[connections.Kind]string{connections.Exchange: "Exchange", connections.SharePoint: "SharePoint",
		connections.MigrationSource: "Migration source", connections.MigrationTarget: "Migration target"}
	return cmp.Or(words[c.Profile.Kind], clean(string(c.Profile.Kind)))
}

// tenant is the tenant as people know it.
func (c Connection) tenant() string {
	t := c.Profile.Tenant
	return clean(cmp.Or(t.Name, t.Domain, t.ID))
}

// expiry says when the credential ends, seen from the time of the report.
func (c Connection) expiry(at time.Time) string {
	end := c.Profile.Credential.NotAfter
	if end.IsZero() {
		return "unknown"
	}
	days := int(end.Sub(at).Hours() / 24)
	switch {
	case !at.Before(end):
		return "expired " + end.UTC().Format(time.DateOnly)
	case days == 1:
		return "1 day left"
	}
	return fmt.Sprintf("%d days left", days)
}

// expirySign marks what ends soon.
func (c Connection) expirySign(at time.Time) string {
	switch k := c.Profile.Credential; {
	case k.ExpiresWithin(at, 0):
		return "✗"
	case k.ExpiresWithin(at, connections.ExpirySoon):
		return "!"
	}
	return ""
}

// statusWords are a check's status for people.
func statusWord(s task.Status) (sign, word string, l level) {
	switch s {
	case task.Pass:
		return "✓", "passed", good
	case task.Warn:
		return "!", "warning", calm
	case task.Fail:
		return "✗", "failed", bad
	}
	return "–", "skipped", good
}

// told reports whether one of the checks before gives the same advice.
func told(before []task.Result, a *advice.Advice) bool {
	return slices.ContainsFunc(before, func(r task.Result) bool {
		return r.Advice != nil && (r.Status == task.Fail || r.Status == task.Warn) && r.Advice.What == a.What && slices.Equal(r.Advice.Next, a.Next)
	})
}

// command returns the command of a step to copy, as c2conn marks them.
func command(step string) (string, bool) {
	for _, prompt := range []string{"$ ", "PS> "} {
		if rest, ok := strings.CutPrefix(step, prompt); ok {
			return rest, true
		}
	}
	return step, false
}

// clean makes foreign text one visible line.
func clean(s string) string { return transport.CleanText(s, 0) }

// stamp is a time for people.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") + " UTC" }
