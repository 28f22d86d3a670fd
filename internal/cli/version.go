package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// number is the released version; the build sets it with -ldflags -X.
var number = "1.0.0-dev"

// Version says which c2conn this is.
type Version struct {
	Number   string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func buildVersion() Version {
	v := Version{Number: number, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Commit = s.Value
			}
		}
	}
	return v
}

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Annotations: map[string]string{quick: "yes"},
		Use:         "version",
		Short:       "Print which c2conn this is",
		GroupID:     groupOther,
		Example:     "  c2conn version\n  c2conn version --output json",
		Args:        noArguments,
		RunE: func(*cobra.Command, []string) error {
			return a.print(printable{
				value: a.Version,
				name:  a.Version.Number,
				table: func() string {
					return fmt.Sprintf("c2conn %s (%s, %s)\n", a.Version.Number, a.Version.Platform, a.Version.Go)
				},
			})
		},
	}
}
