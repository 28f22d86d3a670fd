package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/connections"
)

func newRename(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "rename OLD NEW", Aliases: []string{"mv"}, Short: "Give a connection another name", GroupID: groupConnect,
		Long: `Gives a saved connection another name; only its case can be changed as well. Nothing
in the tenant and nothing in c2conn refers to the name. Scripts, timers and other
programs that use the old one do.`,
		Example: "  c2conn rename contoso-exchange contoso\n  c2conn rename contoso Contoso",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return &usageError{err: errors.New("give the old name and the new one"), command: cmd.CommandPath()}
			}
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeNames(cmd, args, typed)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			was, err := a.connection(ctx, args[0])
			if err != nil {
				return err
			}
			if err := connections.ValidName(args[1]); err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			c := was
			if was.Name == args[1] {
				a.errorf("Nothing was changed: connection %s has this name already.\n", was.Name)
			} else {
				store, err := a.store()
				if err != nil {
					return err
				}
				if c, err = store.Rename(ctx, was.ID, args[1]); err != nil {
					return err
				}
				where := "in c2conn or in the tenant"
				if c.Location == connections.OnPremises {
					where = "in c2conn"
				}
				a.errorf("%s is called %s now. Nothing %s used the old name; scripts and timers that do have to be changed.\n", was.Name, c.Name, where)
				if c.Fleet != "" {
					a.errorf("! The file of the fleet %s describes it under the old name: change it there too, before it is applied again.\n", c.Fleet)
				}
			}
			return a.print(printable{value: a.savedAnswer(c), name: c.Name, table: func() string { return "" }})
		},
	}
}
