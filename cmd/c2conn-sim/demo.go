package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/internal/sim"
)

func newDemo(p Process) *cobra.Command {
	var flags worldFlags
	cmd := &cobra.Command{
		Use:   "demo [flags] -- COMMAND [ARGUMENT]…",
		Short: "Run a command in a terminal with the tenant's values shown beneath it",
		Long: "Run a command against a fresh tenant, as run does, in the upper part of the terminal; what to\n" +
			"type into it stands in the lines beneath. The variables of C2conn itself, but no answers, are set.",
		Example: "  c2conn-sim demo -- c2conn new exchange",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return demo(cmd.Context(), p, flags, args) },
	}
	cmd.Flags().SetInterspersed(false)
	flags.add(cmd)
	return cmd
}

func demo(ctx context.Context, p Process, flags worldFlags, args []string) error {
	// A demonstration never touches the connections of whoever runs it.
	environ := append(withoutVariable(p.Environ, "C2CONN_HOME"), "C2CONN_HOME=")
	return flags.furnish(environ, func(world *sim.World, k *kit, environ []string) error {
		return beneath(ctx, p, environ, args, legend(world, k))
	})
}

func withoutVariable(environ []string, name string) []string {
	var kept []string
	for _, entry := range environ {
		if !strings.HasPrefix(entry, name+"=") {
			kept = append(kept, entry)
		}
	}
	return kept
}

// legend is what to type, a line each; the certificate's password in clear, as
// everything of the simulated tenant is made up.
func legend(world *sim.World, k *kit) []string {
	value := func(name string) string {
		for _, v := range k.vars {
			if v.name == name {
				return v.value
			}
		}
		return ""
	}
	return []string{
		"Contoso (simulated): what to type",
		"  Dedicated account    " + world.Mailbox,
		"  Client ID            " + world.ClientID,
		"  Tenant ID or domain  " + world.TenantDomain,
		"  Certificate file     " + value("SIM_CERT_FILE"),
		"    its password       " + sim.PFXPassword,
		"  or client secret     " + world.Secret,
	}
}
