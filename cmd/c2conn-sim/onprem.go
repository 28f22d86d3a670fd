package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/internal/sim/onprem"
	"github.com/c2conn/c2conn/internal/sim/onprem/sharepoint"
)

// onpremFlags describe a company network.
type onpremFlags struct {
	version   string
	mailboxes int
	faults    []string
	seed      int64
	issued    bool
	spread    time.Duration
	lockout   int
	log       string
	dump      string
	dir       string

	farmVersion string
	sites       int
}

func newOnPrem(p Process) *cobra.Command {
	var flags onpremFlags
	var list bool
	cmd := &cobra.Command{
		Use:   "onprem [flags] [-- COMMAND [ARGUMENT]…]",
		Short: "Simulate a company network: Active Directory, Exchange Server and SharePoint Server",
		Long: "Simulate a company network on this machine: an Active Directory domain (KDC, LDAP, DNS), an\nExchange Server with EWS, Autodiscover and remote PowerShell, and a SharePoint farm with its\nCentral Administration. With a command, run it there and\nend with its exit code; without one, serve until Ctrl-C and print how to reach it.\n\n" +
			"The command finds in its environment: C2CONN_DNS and C2CONN_CONNECT_TO, by which names and ports\nlead to the simulation; C2CONN_HOME (fresh unless set); SIM_DOMAIN, SIM_SERVER, SIM_EWS_URL; the\nadministrators SIM_ADMIN_UPN and SIM_ADMIN_PASSWORD_FILE, SIM_MESSAGING_UPN and\nSIM_MESSAGING_PASSWORD_FILE (alternate suffix, nested group), SIM_NOMAILBOX_UPN and\nSIM_NOMAILBOX_PASSWORD_FILE; SIM_CA_FILE, the company's authority, and SIM_SERVER_CERT_FILE and\nSIM_SERVER_SHA256, the Exchange Server's certificate.\nOf SharePoint: SIM_SHAREPOINT_URL, SIM_CENTRAL_ADMIN_URL and SIM_CENTRAL_ADMIN_PORT; the farm\nadministrator SIM_SHAREPOINT_UPN and SIM_SHAREPOINT_PASSWORD_FILE; SIM_READER_UPN and\nSIM_READER_PASSWORD_FILE, who may read some site collections; SIM_SHAREPOINT_CERT_FILE and\nSIM_SHAREPOINT_SHA256, its certificate.\n\n" +
			"--list-faults lists what --fault can switch on. With --dump the counters are written when the\ncommand has ended: sign-ins by protocol, failed ones, requests, role assignments.",
		Example: "  c2conn-sim onprem -- env\n  c2conn-sim onprem --fault ep-require --dump counters.json -- c2conn verify --all\n  c2conn-sim onprem --version 2016 --mailboxes 5000",
		RunE: func(cmd *cobra.Command, args []string) error {
			if list {
				return listOnPremFaults(p)
			}
			return serveOnPrem(cmd.Context(), p, flags, args)
		},
	}
	f := cmd.Flags()
	f.SetInterspersed(false)
	f.StringVar(&flags.version, "version", "SE", "the version of Exchange Server: SE, 2019, 2016 or 2013")
	f.IntVar(&flags.mailboxes, "mailboxes", 12, "how many mailboxes there are")
	f.StringVar(&flags.farmVersion, "sharepoint-version", "SE", "the version of SharePoint Server: SE, 2019, 2016 or 2013")
	f.IntVar(&flags.sites, "site-collections", 12, "how many site collections SharePoint has")
	f.StringArrayVar(&flags.faults, "fault", nil, "switch a fault or a setting on: NAME or NAME=ARGUMENT (may be repeated)")
	f.Int64Var(&flags.seed, "seed", 1, "decides all ids")
	f.BoolVar(&flags.issued, "issued-certificate", false, "give the Exchange Server a certificate of the company's authority instead of a self-signed one")
	f.DurationVar(&flags.spread, "spread", 0, "how long a new role assignment takes to be in force")
	f.IntVar(&flags.lockout, "lockout", 0, "how many wrong passwords lock an account (0: none do)")
	f.StringVar(&flags.log, "log", "", "write every web request to this file, a JSON object a line")
	f.StringVar(&flags.dump, "dump", "", "at the end, write the counters to this file, as JSON (- for standard output)")
	f.StringVar(&flags.dir, "dir", "", "keep the files here; without it they are removed at the end")
	f.BoolVar(&list, "list-faults", false, "list the faults and settings, a line each, and end")
	return cmd
}

func listOnPremFaults(p Process) error {
	table := tabwriter.NewWriter(p.Stdout, 0, 4, 2, ' ', 0)
	for _, f := range onprem.Faults() {
		name := f.Name
		if f.Args != "" {
			name += "=" + f.Args
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\n", name, f.Help)
	}
	return table.Flush()
}

// start makes the world; the function that comes with it ends it.
func (f *onpremFlags) start(p Process) (*onprem.World, func() error, error) {
	o := onprem.Options{
		Now: time.Now, Seed: f.seed, Version: f.version, Mailboxes: f.mailboxes, Issued: f.issued, Spread: f.spread, Lockout: f.lockout, Faults: f.faults,
		SharePointVersion: f.farmVersion, SiteCollections: f.sites,
	}
	if f.mailboxes < 2 || f.sites < 1 || f.spread < 0 || f.lockout < 0 {
		return nil, nil, fmt.Errorf("%w: --mailboxes must be 2 or more, --site-collections 1 or more, --spread and --lockout must not be negative", errUsage)
	}
	closeLog := func() error { return nil }
	if f.log != "" {
		file, err := os.OpenFile(f.log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, nil, fmt.Errorf("open the log: %w", err)
		}
		o.Log, closeLog = file, file.Close
	}
	world, err := onprem.Start(o)
	if err != nil {
		if errors.Is(err, onprem.ErrFault) || errors.Is(err, onprem.ErrVersion) || errors.Is(err, sharepoint.ErrVersion) {
			err = fmt.Errorf("%w: %w", errUsage, err)
		}
		return nil, nil, errors.Join(err, closeLog())
	}
	return world, func() error { return errors.Join(f.writeCounters(p, world), world.Close(), closeLog()) }, nil
}

func (f *onpremFlags) writeCounters(p Process, world *onprem.World) error {
	if f.dump == "" {
		return nil
	}
	data, err := json.MarshalIndent(world.Counters(), "", "  ")
	if err != nil {
		return fmt.Errorf("write the counters: %w", err)
	}
	data = append(data, '\n')
	if f.dump == "-" {
		_, err = p.Stdout.Write(data)
		return err
	}
	if err := os.WriteFile(f.dump, data, 0o600); err != nil {
		return fmt.Errorf("write the counters: %w", err)
	}
	return nil
}

func serveOnPrem(ctx context.Context, p Process, flags onpremFlags, command []string) (err error) {
	world, end, err := flags.start(p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	dir, remove, err := filesIn(flags.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	k, err := onpremKit(world, dir, p.Environ)
	if err != nil {
		return err
	}
	if len(command) > 0 {
		return execute(ctx, p, k.environ(p.Environ), command)
	}
	if _, err = fmt.Fprint(p.Stdout, onpremWelcome(world, k)); err != nil {
		return err
	}
	<-ctx.Done()
	_, err = fmt.Fprintln(p.Stdout, "\nThe simulated network has ended.")
	return err
}

// onpremKit writes the files; all are for the owner's eyes only.
func onpremKit(world *onprem.World, dir string, environ []string) (*kit, error) {
	k := &kit{dir: dir}
	for _, v := range world.Env() {
		name, value, _ := strings.Cut(v, "=")
		k.vars = append(k.vars, variable{name, value})
	}
	if home, _ := lookup(environ, "C2CONN_HOME"); home == "" {
		k.vars = append(k.vars, variable{"C2CONN_HOME", filepath.Join(dir, "home")})
		_, passphrase := lookup(environ, "C2CONN_PASSPHRASE")
		if _, given := lookup(environ, "C2CONN_IDENTITY_FILE"); !passphrase && !given {
			k.vars = append(k.vars, variable{"C2CONN_IDENTITY_FILE", filepath.Join(dir, "identity.txt")})
		}
	}
	k.vars = append(k.vars, variable{"SIM_DOMAIN", onprem.Domain}, variable{"SIM_SERVER", onprem.Server}, variable{"SIM_EWS_URL", "https://" + onprem.Server + "/EWS/Exchange.asmx"},
		variable{"SIM_ADMIN_UPN", onprem.Admin}, variable{"SIM_MESSAGING_UPN", onprem.Messaging}, variable{"SIM_NOMAILBOX_UPN", onprem.NoMailbox}, variable{"SIM_SERVER_SHA256", world.Fingerprint()},
		variable{"SIM_SHAREPOINT_URL", world.SharePointURL()}, variable{"SIM_CENTRAL_ADMIN_URL", world.CentralAdminURL()}, variable{"SIM_CENTRAL_ADMIN_PORT", strconv.Itoa(onprem.CentralAdminPort)},
		variable{"SIM_SHAREPOINT_UPN", onprem.FarmAdmin}, variable{"SIM_READER_UPN", onprem.Reader}, variable{"SIM_SHAREPOINT_SHA256", world.SharePointFingerprint()})
	for _, f := range []secretFile{
		{"admin-password.txt", "SIM_ADMIN_PASSWORD_FILE", []byte(onprem.AdminPassword)},
		{"messaging-password.txt", "SIM_MESSAGING_PASSWORD_FILE", []byte(onprem.MessagingPassword)},
		{"nomailbox-password.txt", "SIM_NOMAILBOX_PASSWORD_FILE", []byte(onprem.NoMailboxPassword)},
		{"sharepoint-password.txt", "SIM_SHAREPOINT_PASSWORD_FILE", []byte(onprem.FarmAdminPassword)},
		{"reader-password.txt", "SIM_READER_PASSWORD_FILE", []byte(onprem.ReaderPassword)},
		{"sharepoint.pem", "SIM_SHAREPOINT_CERT_FILE", world.SharePointCertificate()},
		{"ca.pem", "SIM_CA_FILE", world.Authority()},
		{"server.pem", "SIM_SERVER_CERT_FILE", world.Certificate()},
	} {
		path := filepath.Join(dir, f.name)
		if err := os.WriteFile(path, f.data, 0o600); err != nil {
			return nil, fmt.Errorf("write %s: %w", f.name, err)
		}
		k.vars = append(k.vars, variable{f.variable, path})
	}
	return k, nil
}

// onpremWelcome says what there is and what to type.
func onpremWelcome(world *onprem.World, k *kit) string {
	var b strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) }
	line("%s and %s in the domain %s are running. Press Ctrl-C to end them.\n", world.Version().Title, world.SharePoint().Version().Title, onprem.Domain)
	line("  Exchange Server    %s   (%s)", onprem.Server, world.ConnectTo(onprem.Server+":443"))
	line("  Certificate        SHA-256 %s", world.Fingerprint())
	line("  SharePoint         %s   (%s)", world.SharePointURL(), world.ConnectTo(hostPort(world.SharePointURL())))
	line("  Central Admin.     %s   (%s)", world.CentralAdminURL(), world.ConnectTo(hostPort(world.CentralAdminURL())))
	line("  Domain controller  %s   (LDAPS %s)", onprem.DomainController, world.ConnectTo(onprem.DomainController+":636"))
	line("  Mailboxes          %d", world.Mailboxes())
	line("  Site collections   %d\n", world.SharePoint().SiteCollections())
	line("  Administrator      %s   password: %s", onprem.Admin, onprem.AdminPassword)
	line("  Another one        %s   password: %s", onprem.Messaging, onprem.MessagingPassword)
	line("  Without mailbox    %s   password: %s", onprem.NoMailbox, onprem.NoMailboxPassword)
	line("  Of SharePoint      %s   password: %s", onprem.FarmAdmin, onprem.FarmAdminPassword)
	line("  Who may read       %s   password: %s\n", onprem.Reader, onprem.ReaderPassword)
	line("In another terminal:\n")
	b.WriteString(k.exports())
	return b.String()
}

// hostPort is where a client connects to for a URL.
func hostPort(address string) string {
	scheme, host, _ := strings.Cut(address, "://")
	if strings.Contains(host, ":") {
		return host
	}
	return host + map[string]string{"http": ":80", "https": ":443"}[scheme]
}
