package move

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/connections/bundle"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
)

// Action is what is done with a connection of a bundle.
type Action string

// The actions. They are part of the JSON contract.
const (
	Add     Action = "add"
	Skip    Action = "skip"
	Replace Action = "replace" // the connection that is there; its previous version is kept
	Rename  Action = "rename"  // add it under another name and with an id of its own
)

// Step is one connection of a bundle and what becomes of it.
type Step struct {
	Item      bundle.Item
	Action    Action   // "" as long as a conflict is not decided
	Name      string   // under which it is saved
	Conflicts []string // what is in the way; nothing where empty
	Choices   []Action // that would settle them; Skip always does

	cloud    bool              // its cloud is in the way
	replaces string            // id of the connection that is there
	taken    func(string) bool // whether a name is in use here
}

// CloudStep is one cloud definition of a bundle.
type CloudStep struct {
	Cloud   cloud.Cloud
	Differs bool     // this computer has another definition of the name
	There   bool     // and here the same one
	Replace bool     // decided: this one takes the place of the other
	Changes []string // what the bundle's says otherwise, where it differs
	Users   []string // the connections here that use the one that differs

	definition string
}

// Plan is what importing a bundle would do.
type Plan struct {
	Steps  []Step
	Clouds []CloudStep
}

// PlanOptions decide beforehand.
type PlanOptions struct {
	// ReplaceClouds lets the bundle's definition of a cloud take the place of another
	// one here. All connections of that cloud sign in elsewhere from then on, so no
	// choice about a single connection does it.
	ReplaceClouds bool
}

// Plan compares a bundle with what is here. It changes nothing.
func (p Place) Plan(ctx context.Context, b bundle.Bundle, o PlanOptions) (*Plan, error) {
	entries, err := p.Store.List(ctx)
	if err != nil {
		return nil, err
	}
	plan := &Plan{}
	for _, c := range b.Clouds {
		step, err := p.cloudStep(c)
		if err != nil {
			return nil, err
		}
		if step.Differs {
			step.Replace, step.Users = o.ReplaceClouds, usersOf(entries, c.Name)
		}
		plan.Clouds = append(plan.Clouds, step)
	}
	here := index(entries)
	for _, item := range b.Items {
		s := Step{Item: item, Name: item.Connection.Name, Action: Add}
		here.compare(&s)
		if c := plan.cloud(item.Connection); c != nil && c.Differs && !c.Replace {
			s.Conflicts = append(s.Conflicts, fmt.Sprintf("cloud %s is defined otherwise here: the bundle has %s", c.Cloud.Name, strings.Join(c.Changes, ", ")))
			s.Choices, s.cloud = nil, true
		} else if c == nil && item.Connection.Location == connections.Online {
			if _, err := p.Clouds.Find(item.Connection.Cloud); err != nil {
				s.Conflicts, s.Choices = append(s.Conflicts, "its cloud is neither known here nor in the bundle"), nil
			}
		}
		if len(s.Conflicts) > 0 {
			s.Action = ""
			s.Choices = append([]Action{Skip}, s.Choices...)
		}
		plan.Steps = append(plan.Steps, s)
	}
	return plan, nil
}

func (p Place) cloudStep(c bundle.Cloud) (CloudStep, error) {
	parsed, err := cloud.Parse([]byte(c.Definition))
	if err == nil && parsed.Name != c.Name {
		err = fmt.Errorf("it defines %q", parsed.Name)
	}
	if err != nil {
		return CloudStep{}, &bundle.DamagedError{Err: fmt.Errorf("cloud %q: %w", c.Name, err)}
	}
	step := CloudStep{Cloud: parsed, definition: c.Definition}
	switch here, err := p.Clouds.Find(c.Name); {
	case err == nil && here.Same(parsed):
		step.There = true
	case err == nil:
		step.Differs, step.Changes = true, here.Differences(parsed)
	case slices.ContainsFunc(p.Clouds.Damaged(), func(bad error) bool { return bad.Error() == err.Error() }):
		step.Differs, step.Changes = true, []string{"a definition, and the one here cannot be read"}
	}
	return step, nil
}

// usersOf are the connections of a cloud.
func usersOf(entries []connections.Entry, cloud string) []string {
	var names []string
	for i := range entries {
		c := &entries[i].Connection
		if entries[i].Err == nil && c.Location == connections.Online && strings.EqualFold(c.Cloud, cloud) {
			names = append(names, c.Name)
		}
	}
	return names
}

// cloud is the definition in the bundle that a connection uses, nil where none is.
func (p *Plan) cloud(c connections.Connection) *CloudStep {
	for i := range p.Clouds {
		if c.Location == connections.Online && strings.EqualFold(p.Clouds[i].Cloud.Name, c.Cloud) {
			return &p.Clouds[i]
		}
	}
	return nil
}

// CloudInTheWay tells whether the definition of its cloud is in the way of a step, which
// only PlanOptions.ReplaceClouds settles, or skipping it.
func (s Step) CloudInTheWay() bool { return s.cloud }

// Decide settles the conflicts of a step. The error says why that choice does not.
func (p *Plan) Decide(i int, a Action) error {
	s := &p.Steps[i]
	if !slices.Contains(s.Choices, a) {
		return fmt.Errorf("%s cannot settle this: %s", a, strings.Join(s.Conflicts, "; "))
	}
	if a == Rename {
		s.Name = p.freeName(s)
	}
	s.Action = a
	return nil
}

// freeName is the first of NAME-2, NAME-3 … that neither is here nor in the bundle.
func (p *Plan) freeName(s *Step) string {
	base := []rune(s.Item.Connection.Name)
	for n := 2; ; n++ {
		ending := fmt.Sprintf("-%d", n)
		name := string(base[:min(len(base), maxName-len(ending))]) + ending
		if !s.taken(name) && !slices.ContainsFunc(p.Steps, func(o Step) bool { return strings.EqualFold(o.Name, name) }) {
			return name
		}
	}
}

// maxName is how many characters a name may have.
const maxName = 64

// here is what a store holds, by what must be unique.
type here struct {
	names, ids, targets map[string]*connections.Connection
	damaged             map[string]bool // by name
}

func index(entries []connections.Entry) here {
	h := here{map[string]*connections.Connection{}, map[string]*connections.Connection{}, map[string]*connections.Connection{}, map[string]bool{}}
	for i := range entries {
		c := &entries[i].Connection
		if entries[i].Err != nil {
			h.damaged[strings.ToLower(c.Name)] = true
			continue
		}
		h.names[strings.ToLower(c.Name)], h.ids[c.ID] = c, c
		if c.Kind == connections.MigrationTarget {
			h.targets[strings.ToLower(c.Account)] = c
		}
	}
	return h
}

// compare fills in what is in the way of a step.
func (h here) compare(s *Step) {
	c := s.Item.Connection
	s.taken = func(name string) bool {
		return h.names[strings.ToLower(name)] != nil || h.damaged[strings.ToLower(name)]
	}
	byName, byID := h.names[strings.ToLower(c.Name)], h.ids[c.ID]
	var target *connections.Connection
	if c.Kind == connections.MigrationTarget {
		target = h.targets[strings.ToLower(c.Account)]
	}
	replace, rename := true, true
	switch {
	case h.damaged[strings.ToLower(c.Name)]:
		s.Conflicts, replace = append(s.Conflicts, "a damaged connection of that name is here"), false
	case byName != nil && byID != nil && byName.ID != byID.ID:
		s.Conflicts = append(s.Conflicts, fmt.Sprintf("connection %s has its name, and %s its id", byName.Name, byID.Name))
		replace = false
	case byName != nil:
		s.Conflicts, s.replaces = append(s.Conflicts, fmt.Sprintf("a connection of that name is here (%s, %s)", byName.Kind, byName.Account)), byName.ID
	case byID != nil:
		s.Conflicts, s.replaces = append(s.Conflicts, fmt.Sprintf("it is here already, as %s", byID.Name)), byID.ID
	}
	if target != nil {
		rename = false // the mailbox would stay taken
		if s.replaces == "" {
			s.replaces = target.ID
		}
		if s.replaces != target.ID {
			replace = false
		}
		if s.replaces != target.ID || byName == nil && byID == nil {
			s.Conflicts = append(s.Conflicts, fmt.Sprintf("migration target %s uses the mailbox %s", target.Name, target.Account))
		}
	}
	if len(s.Conflicts) == 0 {
		return
	}
	if replace {
		s.Choices = append(s.Choices, Replace)
	}
	if rename {
		s.Choices = append(s.Choices, Rename)
	}
}

// Lacks tells what a connection still needs on this computer before it can sign in: a
// secret that did not travel along; "" where nothing is known to be missing.
func (p Place) Lacks(ctx context.Context, c connections.Connection) string {
	r := c.Credential
	switch {
	case r.Type == connections.TypeCertificate && r.Secret == "":
		for _, t := range []string{r.ThumbprintSHA256, r.Thumbprint} {
			if t == "" {
				continue
			}
			if _, err := p.Personal.Find(ctx, certs.Thumbprint(strings.ToUpper(t))); err == nil {
				return ""
			}
		}
		return "its certificate: c2conn cert import FILE"
	case r.Secret.Scheme() == connections.SchemeStore:
		if _, err := p.Store.Secret(ctx, r.Secret); err != nil {
			return "its " + strings.ReplaceAll(r.Type, "-", " ") + ", which did not travel along"
		}
	}
	return ""
}
