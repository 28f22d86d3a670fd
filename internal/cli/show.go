package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/verify"
	"github.com/c2conn/c2conn/wizard"
)

func newShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a connection", GroupID: groupConnect,
		Long:              "Shows a connection and the result of its last verification. Secrets are not shown.",
		Example:           "  c2conn show contoso-exchange\n  c2conn show contoso-exchange --output json",
		Args:              oneArgument("the name of a connection"),
		ValidArgsFunction: a.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connection(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.print(printable{
				value: a.savedAnswer(c),
				name:  c.Name,
				table: func() string {
					return connectionTable(c, a.Clock.Now(), []string{"Old credential", a.oldCredential(cmd.Context(), c)})
				},
			})
		},
	}
}

// savedChecks are the checks of the last verification as far as the profile keeps
// them: their ids and statuses, in the order in which they are run.
func savedChecks(c connections.Connection) []checkJSON {
	list := []checkJSON{}
	seen := map[string]bool{}
	for _, t := range verify.TitlesOf(c) {
		if status, ok := c.Verification.Checks[t.ID]; ok {
			list, seen[t.ID] = append(list, checkJSON{ID: t.ID, Title: t.Title, Status: status}), true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.Verification.Checks)) {
		if !seen[id] {
			list = append(list, checkJSON{ID: id, Title: id, Status: c.Verification.Checks[id]})
		}
	}
	return list
}

func checksText(checks map[string]string) string {
	var failed []string
	count := map[string]int{}
	for _, id := range slices.Sorted(maps.Keys(checks)) {
		count[checks[id]]++
		if checks[id] == "fail" || checks[id] == "warn" {
			failed = append(failed, fmt.Sprintf("%s %s", id, checks[id]))
		}
	}
	if len(checks) == 0 {
		return ""
	}
	text := fmt.Sprintf("%d of %d passed", count["pass"], len(checks)-count["skip"])
	if count["skip"] > 0 {
		text += fmt.Sprintf(", %d not needed or not run", count["skip"])
	}
	if len(failed) > 0 {
		text += " · " + strings.Join(failed, ", ")
	}
	return text
}

// newCommand is the scripted command that makes a connection like c again, "" for
// a kind that has no wizard yet.
func (a *app) newCommand(c connections.Connection) string {
	env, err := a.wizardEnv()
	flow := wizard.FlowOf(c.Kind)
	if err != nil || flow == nil || flow.Location != "" && flow.Location != c.Location {
		return ""
	}
	s := wizard.NewSession(flow, env)
	s.Load(c)
	if c.Location == connections.Online {
		_ = s.Set("registration", "manual", wizard.FromDefault, "") // the registration is there: no command makes another
	}
	return s.Command()
}

// connection finds a saved connection by name or id; when there is none the
// error says which names there are.
func (a *app) connection(ctx context.Context, name string) (connections.Connection, error) {
	store, err := a.store()
	if err != nil {
		return connections.Connection{}, err
	}
	c, err := store.Get(ctx, name)
	if !isNotFound(err) {
		return c, err
	}
	names := a.names(ctx)
	if len(names) > 12 {
		names = append(names[:12], "…")
	}
	others := "there are: " + strings.Join(names, ", ")
	if len(names) == 0 {
		others = "nor any other; create one: c2conn new exchange"
	}
	return c, &usageError{err: fmt.Errorf("there is no connection %q, %s", clean(name), others), command: "c2conn"}
}

func (a *app) names(ctx context.Context) []string {
	store, err := a.store()
	if err != nil {
		return nil
	}
	entries, err := store.List(ctx)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if e.Err == nil {
			names = append(names, e.Connection.Name)
		}
	}
	return names
}

func (a *app) completeNames(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	names := slices.DeleteFunc(a.names(cmd.Context()), func(n string) bool { return slices.Contains(args, n) })
	return names, cobra.ShellCompDirectiveNoFileComp
}
