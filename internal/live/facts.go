package main

import (
	"cmp"
	_ "embed" // facts.txt
	"fmt"
	"io"
	"strings"
)

// What a run finds about a fact.
const (
	confirmed   = "confirmed"
	refuted     = "refuted"
	notTestable = "not testable here"
)

//go:embed facts.txt
var facts string

type fact struct{ id, source, text, never, verdict, evidence string }

type report []*fact

func newReport() (r report) {
	for line := range strings.Lines(facts) {
		if part := strings.Split(strings.TrimSpace(line)+" | ", " | "); !strings.HasPrefix(line, "#") {
			r = append(r, &fact{id: part[0], source: part[1], text: part[2], never: part[3]})
		}
	}
	return r
}

func (r report) set(id, verdict, evidence string) {
	for _, f := range r {
		if f.id == id {
			f.verdict, f.evidence = verdict, evidence
			return
		}
	}
	panic("live: no fact " + id) // a slip of this program, which its tests meet
}

// settle says whether a fact holds, and how that is known. That no answer came
// refutes nothing.
func (r report) settle(id string, holds bool, evidence string, args ...any) {
	verdict := map[bool]string{true: confirmed, false: refuted}[holds]
	if evidence = fmt.Sprintf(evidence, args...); !holds && strings.Contains(evidence, noAnswer) {
		verdict = notTestable
	}
	r.set(id, verdict, evidence)
}

// open says why facts stay unsettled.
func (r report) open(why string, ids ...string) {
	for _, id := range ids {
		r.set(id, notTestable, why)
	}
}

// print gives a verdict to the facts that the run did not come to, and shows all.
func (r report) print(w io.Writer, why string) {
	counts := map[string]int{}
	for _, v := range []string{refuted, confirmed, notTestable} { // what changes facts/ first
		for _, f := range r {
			if f.verdict == "" {
				r.open(cmp.Or(f.never, why), f.id)
			}
			if f.verdict == v {
				counts[v]++
				fmt.Fprintf(w, "\n%-17s  %s [%s]\n%19s%s\n", strings.ToUpper(v), f.text, f.source, "", f.evidence)
			}
		}
	}
	fmt.Fprintf(w, "\n%d facts: %d confirmed, %d refuted, %d not testable here\n", len(r), counts[confirmed], counts[refuted], counts[notTestable])
}
