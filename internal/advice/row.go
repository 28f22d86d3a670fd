package advice

import (
	"strings"
	"time"
)

// row is the advice for one error, with {placeholders} for Facts (see filler).
type row struct {
	what  string
	short string // a finding of at most 60 characters without facts, where what is longer
	why   string
	next  []string // an empty step after filling is left out
	link  string
	class Class
}

// judgement is a row together with what this one error said of itself.
type judgement struct {
	row
	codes         []string
	trace         string
	correlation   string
	time          time.Time
	serviceAnswer string // the service's own words, cleaned; told after why
}

// advice fills the placeholders.
func (j judgement) advice(f Facts) *Advice {
	fill := f.filler()
	a := &Advice{
		What: fill.Replace(j.what), Why: fill.Replace(j.why), Link: fill.Replace(j.link),
		Codes: j.codes, TraceID: j.trace, CorrelationID: j.correlation, Next: []string{},
	}
	if a.Codes == nil {
		a.Codes = []string{} // the JSON contract promises a list
	}
	if !j.time.IsZero() && j.trace+j.correlation != "" { // it helps to find what the ids stand for, no more
		a.Time = j.time.UTC()
	}
	if j.serviceAnswer != "" {
		a.Why = strings.TrimSpace(a.Why + " The service said: “" + j.serviceAnswer + "”")
	}
	steps := make([]string, 0, len(j.next))
	for _, step := range j.next {
		switch step {
		case "{again}":
			steps = append(steps, f.again()...)
		case "{grant}":
			steps = append(steps, f.grant()...)
		case "{fix}":
			steps = append(steps, f.fix()...)
		case "{repair}":
			steps = append(steps, f.repair()...)
		case "{anew}":
			steps = append(steps, f.anew()...)
		default:
			steps = append(steps, step)
		}
	}
	for _, step := range steps {
		if strings.Contains(step, "{consentlink}") && f.consent() == "" {
			continue
		}
		step = strings.TrimSpace(fill.Replace(step))
		if rest, other := strings.CutPrefix(step, "Or "); other && len(a.Next) == 0 {
			step = capital(rest) // what it was the alternative to could not be told
		}
		if step != "" {
			a.Next = append(a.Next, step)
		}
	}
	return a
}

// at fills in the host and the proxy of a network row.
func (r row) at(host, proxy string) row {
	name, _, _ := strings.Cut(host, ":")
	fill := strings.NewReplacer("{host}", or(host, "the server"), "{hostname}", or(name, "the server"), "{proxy}", or(proxy, "(of HTTPS_PROXY)"))
	next := make([]string, len(r.next))
	for i, step := range r.next {
		next[i] = fill.Replace(step)
	}
	r.what, r.why, r.next = fill.Replace(r.what), fill.Replace(r.why), next
	return r
}
