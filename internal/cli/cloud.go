package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/cloud"
)

type cloudJSON struct {
	Name             string `json:"name"`
	Title            string `json:"title"`
	Authority        string `json:"authority"`
	Graph            string `json:"graph"`
	Outlook          string `json:"outlook"`
	SharePointSuffix string `json:"sharepoint_suffix,omitempty"`
	Portal           string `json:"portal,omitempty"`
	UserDefined      bool   `json:"user_defined"`
}

func asCloudJSON(c cloud.Cloud) cloudJSON {
	return cloudJSON{c.Name, c.Title, c.Login, c.Graph, c.Outlook, c.SharePointSuffix, c.Portal, !c.BuiltIn}
}

func newCloud(a *app) *cobra.Command {
	return parent("cloud", "List and define Microsoft clouds", groupKeys, "  c2conn cloud list\n  c2conn cloud add lab.yaml",
		newCloudList(a), newCloudAdd(a), newCloudRemove(a))
}

func newCloudList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the clouds and their hosts",
		Example: "  c2conn cloud list\n  c2conn cloud list --output json",
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			set, err := a.cloudSet()
			if err != nil {
				return err
			}
			list := []cloudJSON{}
			rows := [][]string{{"NAME", "TITLE", "SIGN-IN", "GRAPH", "OUTLOOK"}}
			var names []string
			for _, c := range set.List() {
				list = append(list, asCloudJSON(c))
				names = append(names, c.Name)
				rows = append(rows, []string{c.Name, c.Title, host(c.Login), host(c.Graph), host(c.Outlook)})
			}
			err = a.print(printable{value: map[string]any{"clouds": list}, name: strings.Join(names, "\n"), table: func() string { return columns(rows) }})
			if err != nil {
				return err
			}
			for _, damaged := range set.Damaged() {
				a.errorf("✗ %s\n", clean(damaged.Error()))
			}
			if len(set.Damaged()) > 0 {
				return &verdict{class: advice.ClassOther}
			}
			return nil
		},
	}
}

func host(u string) string { return strings.TrimPrefix(u, "https://") }

func newCloudAdd(a *app) *cobra.Command {
	var replace bool
	cmd := &cobra.Command{
		Use: "add FILE", Short: "Define a cloud by a file",
		Long: `Adds a cloud with hosts of its own: a sovereign cloud that c2conn does not know, or
a test installation. The file is YAML with name, title, authority, graph, outlook
and, where they apply, sharepoint_suffix, portal and ca_certificate (PEM). A dash
reads standard input.`,
		Example: "  c2conn cloud add lab.yaml\n  c2conn cloud add --replace - < lab.yaml",
		Args:    oneArgument("a file, or - for standard input"),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := a.cloudSet()
			if err != nil {
				return err
			}
			data, err := a.readInput(args[0])
			if err != nil {
				return err
			}
			c, err := set.Add(cmd.Context(), data, replace)
			if err != nil {
				return err
			}
			return a.print(printable{value: asCloudJSON(c), name: c.Name, table: func() string {
				return fmt.Sprintf("Added cloud %s (%s). Use it with --cloud %s.\n", c.Name, host(c.Login), c.Name)
			}})
		},
	}
	cmd.Flags().BoolVar(&replace, "replace", false, "replace the definition of the same name")
	return cmd
}

// readInput reads a file, or standard input for a dash, up to one MiB.
func (a *app) readInput(path string) ([]byte, error) {
	if path != "-" {
		return a.ReadFile(path)
	}
	data, err := io.ReadAll(io.LimitReader(a.In, 1<<20))
	if err == nil && len(data) == 0 {
		err = errors.New("standard input is empty")
	}
	return data, err
}

func newCloudRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Aliases: []string{"rm"}, Short: "Remove a cloud that you defined",
		Long:    "Removes a user-defined cloud. Connections that use it are named, and keep it from being removed.",
		Example: "  c2conn cloud remove lab",
		Args:    oneArgument("the name of a cloud"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return a.cloudNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := a.store()
			if err != nil {
				return err
			}
			entries, err := store.List(cmd.Context())
			if err != nil {
				return err
			}
			var users []string
			for _, e := range entries {
				if e.Err == nil && strings.EqualFold(e.Connection.Cloud, args[0]) {
					users = append(users, e.Connection.Name)
				}
			}
			if len(users) > 0 {
				return refuse("cloud %s is used by %s; delete these connections first", args[0], strings.Join(users, ", "))
			}
			set, err := a.cloudSet()
			if err != nil {
				return err
			}
			if err := set.Remove(cmd.Context(), args[0]); err != nil {
				return err
			}
			return a.print(printable{value: map[string]any{"removed": args[0]}, name: args[0], table: func() string { return "Removed cloud " + args[0] + ".\n" }})
		},
	}
}
