package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/registration"
)

// The forms in which the guide is written.
const (
	guideText       = "text"
	guideMarkdown   = "markdown"
	guideManifest   = "manifest"
	guideAz         = "az"
	guidePowerShell = "az-powershell"
	guideJSON       = "json"
)

var guideFormats = []string{guideText, guideMarkdown, guideManifest, guideAz, guidePowerShell, guideJSON}

func newAppGuide(a *app) *cobra.Command {
	var kind, format, cloudName, set string
	var o registration.GuideOptions
	cmd := &cobra.Command{
		Use: "guide [KIND]", Short: "Show how to register an application by hand",
		Long: `Shows, step by step, how the application of a connection is registered in the
Entra admin centre: what to click, the permissions and what each is for, admin
consent, the certificate, and the command that makes the connection. Nothing is
changed and nobody signs in.

KIND is exchange (also without it), sharepoint, migration-source or migration-target.

--format manifest prints the permissions as JSON for the page Manifest; az and
az-powershell print a script for the Azure CLI that does all of it, once.`,
		Example: `  c2conn app guide
  c2conn app guide sharepoint --app-name "Contoso backup"
  c2conn app guide sharepoint --permissions seed
  c2conn app guide exchange --format manifest
  c2conn app guide exchange --format az > register.sh`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && kind != "" {
				return &usageError{err: errors.New("give one kind of connection, as an argument or with --kind"), command: cmd.CommandPath()}
			}
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return completeKinds(cmd, args, typed)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			k, err := a.guideOptions(cmd, append(args, kind)[0], cloudName, &o)
			if err != nil {
				return err
			}
			var known bool
			switch o.Set, known = registration.ParseSet(set); {
			case !known:
				return &usageError{err: unknownSet(set), command: cmd.CommandPath()}
			case o.Set != registration.SetRecommended && !registration.HasSets(k):
				return &usageError{err: fmt.Errorf("connections of the kind %s have one permission set only; leave out --permissions", k), command: cmd.CommandPath()}
			case !slices.Contains(guideFormats, format):
				return &usageError{err: fmt.Errorf("--format %q is not one of %s", clean(format), strings.Join(guideFormats, ", ")), command: cmd.CommandPath()}
			case format == guideJSON && a.output == "table":
				a.output = "json"
			case a.output != "table" && format != guideText && format != guideJSON:
				return &usageError{err: fmt.Errorf("--format %s has a form of its own; leave out --output", format), command: cmd.CommandPath()}
			}
			o.CanConnect = canConnect(k)
			g := registration.MakeGuide(k, o)
			return a.print(printable{value: g, name: g.AppName, table: func() string {
				switch format {
				case guideMarkdown:
					return g.Markdown()
				case guideManifest:
					return g.Manifest.JSON()
				case guideAz:
					return registration.AzScript(k, registration.Bash, o)
				case guidePowerShell:
					return registration.AzScript(k, registration.PowerShell, o)
				}
				return g.Text(a.outWidth())
			}})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&kind, "kind", "", "kind of connection, instead of the argument")
	flags.StringVar(&format, "format", guideText, "form of the guide: "+strings.Join(guideFormats, ", "))
	flags.StringVar(&cloudName, "cloud", "", "Microsoft cloud (or variable C2CONN_CLOUD)")
	flags.StringVar(&o.AppName, "app-name", "", "name of the application, instead of the documented one")
	flags.StringVar(&o.ClientID, "client-id", "", "client ID of an application that exists already: the links lead to its pages")
	flags.StringVar(&o.TenantID, "tenant-id", "", "tenant ID or domain, for the links and commands")
	addSetFlag(cmd, &set, "permissions of the application: recommended, or seed for the documented set alone (sharepoint only)")
	flags.BoolVar(&o.RequiredOnly, "required-only", false, "leave the optional permissions out of the manifest and the scripts")
	_ = cmd.RegisterFlagCompletionFunc("kind", completeKinds)
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(guideFormats, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("cloud", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return a.cloudNames(), cobra.ShellCompDirectiveNoFileComp
	})
	for _, name := range []string{"app-name", "client-id", "tenant-id"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	return cmd
}

// guideOptions checks what was given and fills in the cloud.
func (a *app) guideOptions(cmd *cobra.Command, kindName, cloudName string, o *registration.GuideOptions) (connections.Kind, error) {
	wrong := func(flag string, err error) error {
		return &usageError{err: fmt.Errorf("%s: %w", flag, err), command: cmd.CommandPath()}
	}
	if kindName == "" {
		kindName = string(connections.Exchange)
	}
	kind, err := kindOf(kindName, cmd.CommandPath())
	if err != nil {
		return "", err
	}
	if cloudName == "" {
		if cloudName = a.Getenv("C2CONN_CLOUD"); cloudName == "" {
			cloudName = cloud.Global
		}
	}
	set, err := a.cloudSet()
	if err != nil {
		return "", err
	}
	if o.Cloud, err = set.Find(cloudName); err != nil {
		return "", wrong("--cloud", err)
	}
	for flag, id := range map[string]*string{"--client-id": &o.ClientID, "--tenant-id": &o.TenantID} {
		*id = strings.ToLower(strings.TrimSpace(*id))
		if *id != "" && !guidPattern(*id) && (flag == "--client-id" || strings.Trim(*id, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" || !strings.Contains(*id, ".")) {
			return "", wrong(flag, fmt.Errorf("%q is not of the form 2f1c9e1a-5f0c-4d6b-9a53-0b1f6d8e77aa%s", clean(*id), map[string]string{"--tenant-id": " nor contoso.onmicrosoft.com"}[flag]))
		}
	}
	return kind, nil
}

// guidPattern reports whether s, in lower case, is written like a GUID.
func guidPattern(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, r := range s {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (r == '-') || !dash && !strings.ContainsRune("0123456789abcdef", r) {
			return false
		}
	}
	return true
}

// canConnect reports whether there is a wizard for connections of that kind.
func canConnect(kind connections.Kind) bool {
	return slices.ContainsFunc(kindTexts(), func(k kindText) bool { return k.flow().Verb == "new "+string(kind) })
}

// outWidth is how many columns standard output has; 80 where that is unknown.
func (a *app) outWidth() int {
	if f, ok := a.Out.(*os.File); ok && a.OutTerminal {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return min(width, 100)
		}
	}
	return 80
}
