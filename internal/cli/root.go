package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// The groups of the help page.
const (
	groupConnect = "connect"
	groupUse     = "use"
	groupKeys    = "keys"
	groupOther   = "other"
)

// newRoot makes the command line for the arguments. Where they name a command only
// that one is made: all of them cost more time than many of them take.
func newRoot(a *app, args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "c2conn",
		Short: "Connect backup and migration software to Microsoft 365, Exchange and SharePoint",
		Long: `c2conn creates, verifies and keeps connections: saved profiles with which a backup
or migration tool reaches a Microsoft 365 tenant. A wizard leads through the
steps; every answer can also be given by a flag or a variable C2CONN_<FIELD>.

Exit codes: 0 done · 1 error · 2 usage or missing answers · 3 sign-in failed ·
4 waiting for admin consent · 5 a required check failed · 6 blocked by a tenant
policy · 130 cancelled`,
		Example: `  c2conn new exchange
  c2conn list
  c2conn verify --all`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return a.checkOutput(cmd)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.canAsk() && a.OutTerminal {
				return a.manage(cmd.Context())
			}
			return cmd.Help()
		},
	}
	root.AddGroup(
		&cobra.Group{ID: groupConnect, Title: "Connections"},
		&cobra.Group{ID: groupUse, Title: "Hand out, move and watch"},
		&cobra.Group{ID: groupKeys, Title: "Applications, certificates and clouds"},
		&cobra.Group{ID: groupOther, Title: "Other"},
	)
	root.PersistentFlags().StringVarP(&a.output, "output", "o", "table", "form of the result: table, json, yaml or name")
	root.PersistentFlags().BoolVar(&a.noInput, "no-input", false, "never ask anything; list what is missing and end with exit code 2")
	root.PersistentFlags().BoolVar(&a.accessible, "accessible", false, "ask plain questions line by line, for screen readers (also ACCESSIBLE=1)")
	_ = root.RegisterFlagCompletionFunc("output", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return formsOf(cmd), cobra.ShellCompDirectiveNoFileComp
	})
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		a.output = outputIn(args, a.output) // what stands behind the bad flag was not read
		return &usageError{err: err, command: cmd.CommandPath()}
	})
	for _, c := range needed(args) {
		root.AddCommand(c.make(a))
	}
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetHelpCommandGroupID(groupOther)
	root.SetCompletionCommandGroupID(groupOther)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	root.SetUsageFunc(usage)
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.Example = "  source <(c2conn completion bash)\n  c2conn completion fish > ~/.config/fish/completions/c2conn.fish"
			for _, shell := range c.Commands() {
				shell.Annotations = map[string]string{quick: "yes"}
			}
		}
	}
	return root
}

// outputIn is the form of output that the arguments ask for, however far they could
// be understood.
func outputIn(args []string, otherwise string) string {
	for i, arg := range args {
		name, value, joined := strings.Cut(arg, "=")
		switch {
		case name != "--output" && name != "-o":
		case joined:
			otherwise = value
		case i+1 < len(args):
			otherwise = args[i+1]
		}
	}
	if otherwise != "json" && otherwise != "yaml" {
		return "table"
	}
	return otherwise
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &usageError{err: fmt.Errorf("%q is one word too many: this command takes flags only", clean(args[0])), command: cmd.CommandPath()}
	}
	return nil
}

func oneArgument(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return &usageError{err: fmt.Errorf("give %s, and nothing else", what), command: cmd.CommandPath()}
		}
		return nil
	}
}

// parent makes a command that only holds others; called alone it says which.
func parent(use, short, group, example string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, GroupID: group, Example: example,
		RunE: func(cmd *cobra.Command, args []string) error {
			var names []string
			for _, c := range children {
				names = append(names, c.Name())
			}
			if len(args) > 0 {
				return &usageError{err: fmt.Errorf("unknown command %q; there are: %s", args[0], strings.Join(names, ", ")), command: cmd.CommandPath()}
			}
			return &usageError{err: fmt.Errorf("say which: %s", strings.Join(names, ", ")), command: cmd.CommandPath()}
		},
	}
	cmd.AddCommand(children...)
	return cmd
}

// Commands lists every command, for the tests of the help texts.
func Commands() []*cobra.Command {
	var all []*cobra.Command
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		all = append(all, c)
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(&app{}, nil))
	return all
}
