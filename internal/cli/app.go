package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/connections"
)

func newApp(a *app) *cobra.Command {
	return parent("app", "Register applications by hand, list and delete them", groupKeys,
		"  c2conn app guide exchange\n  c2conn app permissions\n  c2conn app list\n  c2conn app cleanup",
		newAppGuide(a), newAppPermissions(a), newAppList(a), newAppDelete(a), newAppCleanup(a))
}

// kindNames are the kinds as people type them.
func kindNames() []string {
	var names []string
	for _, k := range connections.Kinds() {
		names = append(names, string(k))
	}
	return names
}

// kindOf finds a kind by its name.
func kindOf(name, command string) (connections.Kind, error) {
	kind := connections.Kind(strings.ToLower(strings.TrimSpace(name)))
	if kind == "source" || kind == "target" { // as "new" takes them
		kind = "migration-" + kind
	}
	if !slices.Contains(connections.Kinds(), kind) {
		return "", &usageError{err: fmt.Errorf("%q is no kind of connection; there are: %s", clean(name), strings.Join(kindNames(), ", ")), command: command}
	}
	return kind, nil
}

func completeKinds(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return kindNames(), cobra.ShellCompDirectiveNoFileComp
}
