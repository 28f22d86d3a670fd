package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/internal/sim"
)

type serveFlags struct {
	worldFlags
	listen string
	dir    string
}

func newServe(p Process) *cobra.Command {
	var flags serveFlags
	cmd := &cobra.Command{
		Use: "serve", Short: "Serve a tenant until Ctrl-C and print how to reach it", Args: cobra.NoArgs,
		Long: "Serve a tenant until Ctrl-C and print how to reach it.\n\nWith --listen one address serves all services by the name that the client asks for. Redirect\n" +
			"the public host names to it in a hosts file and point SSL_CERT_FILE to the CA: a client then\nneeds to know nothing of the simulation.",
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), p, flags) },
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&flags.listen, "listen", "", "one loopback address for all services, such as 127.0.0.1:443")
	cmd.Flags().StringVar(&flags.dir, "dir", "", "keep the files here; without it they are removed at the end")
	return cmd
}

func serve(ctx context.Context, p Process, flags serveFlags) (err error) {
	world, end, err := flags.start(flags.listen)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	dir, remove, err := filesIn(flags.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	k, err := newKit(world, dir)
	if err != nil {
		return err
	}
	leave, err := k.home(world, p.Environ)
	if err != nil {
		return err
	}
	if flags.dir == "" {
		defer func() { err = errors.Join(err, leave()) }()
	}
	if _, err = fmt.Fprint(p.Stdout, welcome(world, k, flags)); err != nil {
		return err
	}
	<-ctx.Done()
	_, err = fmt.Fprintln(p.Stdout, "\nThe simulated tenant has ended.")
	return err
}

// welcome says what there is and what to type.
func welcome(world *sim.World, k *kit, flags serveFlags) string {
	var b strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) }
	line("%s is running. Press Ctrl-C to end it.\n", sim.TenantName)
	line("  Entra ID           %s", world.LoginURL())
	line("  Microsoft Graph    %s", world.GraphURL())
	line("  Exchange Online    %s/EWS/Exchange.asmx", world.OutlookURL())
	line("  SharePoint Online  %s   (admin centre: %s)\n", world.SharePointSite(), world.SharePointAdmin())
	line("  Directory (tenant) ID      %s   (or %s)", world.TenantID, world.TenantDomain)
	line("  Application (client) ID    %s", world.ClientID)
	line("  Dedicated account          %s", world.Mailbox)
	line("  Client secret              %s", world.Secret)
	line("  Certificate thumbprint     %s", world.Certificate.Thumbprint())
	line("  Certificate file           in SIM_CERT_FILE, password: %s\n", sim.PFXPassword)
	line("In another terminal:\n")
	b.WriteString(k.exports())
	line("\nThen type:\n")
	line(`c2conn new exchange --manual --client-id "$SIM_CLIENT_ID" --tenant-id "$SIM_TENANT_ID" --mailbox "$SIM_MAILBOX" \`)
	line(`  --client-secret-file "$SIM_CLIENT_SECRET_FILE" --name contoso-backup`)
	if flags.listen != "" {
		host, _, _ := strings.Cut(flags.listen, ":")
		line("\nOr, for a client that knows nothing of the simulation, in the hosts file (and export SSL_CERT_FILE=\"$SIM_CA_FILE\"):\n")
		for _, name := range sim.PublicHosts() {
			if !strings.HasPrefix(name, "*") {
				line("%s %s", host, name)
			}
		}
		for _, name := range world.SharePointHosts() {
			line("%s %s", host, name)
		}
	}
	line("\nOther applications of the tenant:\n")
	for _, app := range world.Apps() {
		line("  %-24s %s", app.Name, app.ClientID)
	}
	return b.String()
}

// filesIn makes the folder for the files that a client reads; without a name a new one,
// which remove takes away.
func filesIn(name string) (dir string, remove func() error, err error) {
	if name == "" {
		if dir, err = os.MkdirTemp("", "c2conn-sim-"); err == nil {
			return dir, func() error { return os.RemoveAll(dir) }, nil
		}
	} else if err = os.MkdirAll(name, 0o700); err == nil {
		return name, func() error { return nil }, nil
	}
	return "", nil, fmt.Errorf("make a folder for the files: %w", err)
}
