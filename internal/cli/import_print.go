package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections/bundle"
	"github.com/c2conn/c2conn/internal/move"
)

// preview shows on standard error what a bundle holds.
func (o *importOptions) preview(b bundle.Bundle, plan *move.Plan) {
	if o.output != "table" || o.dryRun {
		return
	}
	o.errorf("Made %s by %s.\n%s", b.MadeAt.UTC().Format(time.DateTime)+" UTC", clean(b.MadeBy), columns(planRows(plan)))
	var open []string
	for _, s := range plan.Steps {
		if s.Item.Connection.Credential.PlainNTLM {
			open = append(open, clean(s.Item.Connection.Name))
		}
	}
	if len(open) > 0 {
		o.errorf("! NTLM over http, without encryption, is allowed in %s: somebody said so elsewhere, not here. To take it back: c2conn edit NAME --set plain-ntlm=no\n", strings.Join(open, ", "))
	}
	for _, c := range plan.Clouds {
		switch {
		case c.Replace:
			o.errorf("! The cloud %s is defined anew: %s.%s\n", c.Cloud.Name, clean(strings.Join(c.Changes, ", ")), usersText(c.Users))
		case c.Differs:
			o.errorf("! The cloud %s is defined otherwise here.\n", c.Cloud.Name)
		case !c.There:
			o.errorf("With the cloud %s (sign-in at %s).\n", c.Cloud.Name, host(c.Cloud.Login))
		}
	}
}

// usersText says which connections another definition of their cloud concerns.
func usersText(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " These connections here use it, too: " + strings.Join(names, ", ") + "."
}

func planRows(plan *move.Plan) [][]string {
	rows := [][]string{{"NAME", "KIND", "ACCOUNT", "CREDENTIAL", "HERE"}}
	for _, s := range plan.Steps {
		c := s.Item.Connection
		proof := s.Item.Credential()
		if proof == "" {
			proof = "reference"
			if len(s.Item.Outside()) == 0 {
				proof = "not in the bundle"
			}
		}
		if c.Credential.PlainNTLM {
			proof += ", over http also with NTLM"
		}
		state := "new"
		if len(s.Conflicts) > 0 {
			state = strings.Join(s.Conflicts, "; ")
		}
		switch s.Action {
		case move.Skip, move.Replace:
			state = string(s.Action) + ": " + state
		case move.Rename:
			state = "as " + s.Name + ": " + state
		}
		rows = append(rows, []string{clean(c.Name), kindTitle(c.Kind), clean(c.Account), proof, clean(state)})
	}
	return rows
}

func importedItem(s move.Step) importedItemJSON {
	c := s.Item.Connection
	one := importedItemJSON{Name: s.Name, Kind: string(c.Kind), Account: c.Account, Action: string(s.Action), Secret: s.Item.Credential(), References: []string{}, Conflicts: s.Conflicts}
	if s.Name != c.Name {
		one.Was = c.Name
	}
	for _, r := range s.Item.Outside() {
		one.References = append(one.References, refLabel(r))
	}
	return one
}

func importedDocument(b bundle.Bundle, plan *move.Plan) importedJSON {
	doc := importedJSON{Connections: []importedItemJSON{}, Clouds: []string{}, MadeAt: b.MadeAt.UTC().Format(time.RFC3339), MadeBy: clean(b.MadeBy)}
	for _, s := range plan.Steps {
		doc.Connections = append(doc.Connections, importedItem(s))
	}
	for _, c := range plan.Definitions() {
		doc.Clouds = append(doc.Clouds, c.Cloud.Name)
	}
	return doc
}

func (o *importOptions) printPlan(b bundle.Bundle, plan *move.Plan) error {
	doc := importedDocument(b, plan)
	doc.DryRun = true
	var names []string
	for _, one := range doc.Connections {
		names = append(names, one.Name)
	}
	return o.print(printable{value: doc, name: strings.Join(names, "\n"), table: func() string {
		return columns(planRows(plan)) + "\nNothing was changed.\n"
	}})
}

func (o *importOptions) printDone(ctx context.Context, place move.Place, b bundle.Bundle, plan *move.Plan, done []move.Done) error {
	doc := importedDocument(b, plan)
	var names, lacking []string
	count := map[move.Action]int{}
	for i, d := range done {
		count[d.Action]++
		if d.Action == move.Skip {
			continue
		}
		one := &doc.Connections[i]
		one.Name = d.Connection.Name
		names = append(names, one.Name)
		if one.Lacks = place.Lacks(ctx, d.Connection); one.Lacks != "" {
			lacking = append(lacking, fmt.Sprintf("%s lacks %s", one.Name, one.Lacks))
		}
	}
	err := o.print(printable{value: doc, name: strings.Join(names, "\n"), table: func() string {
		if len(names) == 0 {
			return "Nothing to import: everything is here already.\n"
		}
		var text strings.Builder
		fmt.Fprintf(&text, "Imported %s: %s.\n", plural(len(names), "connection", "connections"), strings.Join(names, ", "))
		for _, s := range plan.Steps {
			if s.Action == move.Rename {
				fmt.Fprintf(&text, "%s was saved as %s.\n", s.Item.Connection.Name, s.Name)
			}
		}
		if n := count[move.Skip]; n > 0 {
			fmt.Fprintf(&text, "Skipped %d that %s in the way of what is here.\n", n, map[bool]string{true: "was", false: "were"}[n == 1])
		}
		return text.String()
	}})
	if err != nil {
		return err
	}
	for _, l := range lacking {
		o.errorf("! %s\n", l)
	}
	if len(names) > 0 {
		o.errorf("Whether they work from here is not known yet: c2conn verify --all\n")
	}
	return nil
}
