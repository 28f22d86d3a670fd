package wizard_test

import (
	"cmp"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/verify"
	"github.com/c2conn/c2conn/wizard"
)

// cover notes what a row is about.
func (w *seedWalker) cover(line int, sc *wizard.Scene, what ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	verb, location := sc.Session().Flow.Verb, sc.Session().Value("location").Text
	for _, key := range []string{verb, coverKey("", verb, what...), coverKey(location, verb, what...)} {
		w.covered[key] = max(w.covered[key], line)
	}
}

// missing lists what the flows ask for and check, and no row tells of: online and on the
// premises. Clouds are left out: they are data, and users add their own.
func (w *seedWalker) missing() (complaints []string) {
	for _, flow := range wizard.Flows() {
		var near int
		lacks := func(location, what, title string, key ...string) {
			if w.covered[coverKey(location, flow.Verb, key...)] == 0 {
				complaints = append(complaints, complaint(near, "near this row one is missing for c2conn %s: the %s “%s” (%s)", flow.Verb, what, title, strings.Join(key[1:], "=")))
			}
		}
		for _, st := range flow.Steps {
			near = cmp.Or(w.covered[coverKey("", flow.Verb, "step", st.ID)], w.covered[flow.Verb])
			for _, location := range locations(st.When) {
				lacks(location, "step", st.Title, "step", st.ID)
			}
			for _, f := range st.Fields {
				for _, location := range locations(append(slices.Clone(st.When), f.When...)) {
					if f.Input != wizard.Choice || f.FlagName() == "cloud" || w.covered[coverKey(location, flow.Verb, "field", f.Key)] > 0 {
						lacks(location, "field", f.Title, "field", f.Key)
						continue
					}
					for _, o := range f.Options(nil) {
						lacks(location, "choice", f.Title+" › "+o.Title, "choice", f.Key, o.Value)
					}
				}
			}
		}
		for _, location := range []connections.Location{connections.Online, connections.OnPremises} {
			c := connections.Connection{Kind: flow.Kind, Location: location}
			c.LegacyAdmin.UPN = "admin@contoso.com"
			for _, one := range verify.TitlesOf(c) {
				lacks(string(location), "check", one.Title, "check", one.ID)
			}
		}
	}
	return complaints
}

// locations are those that the conditions name; else "", any.
func locations(when []wizard.Cond) []string {
	for _, c := range when {
		if c.Key == "location" {
			return c.Values
		}
	}
	return []string{""}
}

// coverKey names a step, a field, an option or a check of a flow, at a location or "" at any.
func coverKey(location, verb string, what ...string) string {
	return strings.Join(append([]string{verb, location}, what...), "|")
}
