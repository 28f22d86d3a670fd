package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/internal/sim"
)

func newFaults(p Process) *cobra.Command {
	return &cobra.Command{
		Use: "faults", Short: "List the faults, a line each", Args: cobra.NoArgs,
		Long: "List the faults, a line each.\n\nAn argument follows an equals sign; its parts are separated by commas, in any order:\na duration (500ms), a number of times, services (login, graph, outlook, sharepoint) or words.",
		RunE: func(*cobra.Command, []string) error {
			table := tabwriter.NewWriter(p.Stdout, 0, 4, 2, ' ', 0)
			for _, f := range sim.Faults() {
				name := f.Name
				if f.Args != "" {
					name += "=" + f.Args
				}
				_, _ = fmt.Fprintf(table, "%s\t%s\n", name, f.Help)
			}
			return table.Flush()
		},
	}
}
