package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/registration"
)

func newAppPermissions(a *app) *cobra.Command {
	var names []string
	var set string
	cmd := &cobra.Command{
		Use: "permissions", Short: "List the permissions that applications need, and why",
		Long: `Lists the application permissions that each kind of connection uses: what each
allows, in plain words, why it is wanted, and whether it is required. --output json
is the catalogue for other programs; its source names the page that documents each.

For SharePoint there are two sets: those that are needed today (recommended) and the
documented ones alone (seed), which open no site since Microsoft blocked signing in
with passwords.`,
		Example: "  c2conn app permissions\n  c2conn app permissions --kind exchange --kind sharepoint\n  c2conn app permissions --output json",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			kinds := connections.Kinds()
			if len(names) > 0 {
				kinds = nil
			}
			for _, name := range names {
				kind, err := kindOf(name, cmd.CommandPath())
				if err != nil {
					return err
				}
				if !slices.Contains(kinds, kind) {
					kinds = append(kinds, kind)
				}
			}
			var purposes []registration.Purpose
			only, known := registration.ParseSet(set)
			switch {
			case !known:
				return &usageError{err: unknownSet(set), command: cmd.CommandPath()}
			case set != "" && !slices.ContainsFunc(kinds, registration.HasSets):
				return &usageError{err: errors.New("only SharePoint connections have more than one permission set; leave out --permissions"), command: cmd.CommandPath()}
			}
			for _, p := range registration.Purposes() {
				if slices.Contains(kinds, p.Kind) && (set == "" || p.Set == only || !registration.HasSets(p.Kind)) {
					purposes = append(purposes, p)
				}
			}
			doc := registration.Document(purposes...)
			return a.print(printable{value: doc, name: strings.Join(permissionNames(doc), "\n"), table: func() string { return permissionTable(doc, a.outWidth()) }})
		},
	}
	cmd.Flags().StringSliceVar(&names, "kind", nil, "only this kind of connection; may be given several times")
	_ = cmd.RegisterFlagCompletionFunc("kind", completeKinds)
	addSetFlag(cmd, &set, "only this permission set of SharePoint: recommended or seed")
	return cmd
}

func addSetFlag(cmd *cobra.Command, set *string, usage string) {
	cmd.Flags().StringVar(set, "permissions", "", usage)
	_ = cmd.RegisterFlagCompletionFunc("permissions", cobra.FixedCompletions(registration.Sets(), cobra.ShellCompDirectiveNoFileComp))
}

func unknownSet(name string) error {
	return fmt.Errorf("--permissions %q is not one of %s", clean(name), strings.Join(registration.Sets(), ", "))
}

// permissionNames are the permissions by service and role, each once.
func permissionNames(doc registration.CatalogueDocument) []string {
	var names []string
	for _, k := range doc.Kinds {
		for _, p := range k.Permissions {
			if name := p.Resource + "/" + p.Role; !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// permissionTable has a block for each kind: a row for each permission, and beneath
// it what it allows and why, which would not fit into columns.
func permissionTable(doc registration.CatalogueDocument, width int) string {
	var b strings.Builder
	for i, k := range doc.Kinds {
		if i > 0 {
			b.WriteString("\n")
		}
		title := kindTitle(connections.Kind(k.Kind))
		if registration.HasSets(connections.Kind(k.Kind)) {
			title += ", " + map[string]string{registration.SetRecommended.Name(): "recommended permissions", registration.SetSeed.Name(): "documented permissions alone (seed)"}[k.Set]
		}
		fmt.Fprintf(&b, "%s: %s, catalogue %s\n\n", title, k.AppName, doc.Version)
		rows := [][]string{{"API", "PERMISSION", "ID", "NEEDED"}}
		for _, p := range k.Permissions {
			needed := "required"
			if !p.Required {
				needed = "optional"
			}
			if p.Writes {
				needed += ", writes"
			}
			rows = append(rows, []string{p.ResourceTitle(), p.Role, p.RoleID, needed})
		}
		for j, line := range strings.Split(strings.TrimRight(columns(rows), "\n"), "\n") {
			b.WriteString(line + "\n")
			if j > 0 {
				p := k.Permissions[j-1]
				fmt.Fprintf(&b, "    Allows  %s\n", wrap(p.Allows, width-12, "            "))
				fmt.Fprintf(&b, "    Why     %s\n", wrap(p.Why, width-12, "            "))
				if p.Least != "" {
					fmt.Fprintf(&b, "    Least   %s\n", wrap(p.Least, width-12, "            "))
				}
			}
		}
	}
	return b.String()
}
