package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// command is a command of the first level: how it is called, and how it is made.
type command struct {
	names []string // its name and its aliases
	make  func(*app) *cobra.Command
}

// allCommands are the commands of the first level, in the order of the help page,
// but for cobra's own: help and completion.
func allCommands() []command {
	return []command{
		{[]string{"new"}, newNew},
		{[]string{"manage"}, newManage},
		{[]string{"list", "ls"}, newList},
		{[]string{"show"}, newShow},
		{[]string{"verify"}, newVerify},
		{[]string{"apply"}, newApply},
		{[]string{"consent"}, newConsent},
		{[]string{"edit"}, newEdit},
		{[]string{"rename", "mv"}, newRename},
		{[]string{"rotate"}, newRotate},
		{[]string{"delete", "rm"}, newDelete},
		{[]string{"export"}, newExport},
		{[]string{"import"}, newImport},
		{[]string{"doctor"}, newDoctor},
		{[]string{"app"}, newApp},
		{[]string{"cert"}, newCert},
		{[]string{"cloud"}, newCloud},
		{[]string{"token"}, newToken},
		{[]string{"env"}, newEnv},
		{[]string{"exec"}, newExec},
		{[]string{"version"}, newVersion},
	}
}

// needed are the commands that the arguments are about: one where they begin with
// its name, else all, as for the help page, for what a shell completes and for a
// word that no command has.
func needed(args []string) []command {
	all := allCommands()
	switch name := firstWord(args); name {
	case watchCommand:
		return []command{{[]string{watchCommand}, newWatch}}
	case "completion":
		return all[len(all)-1:] // cobra wants one beside it; the scripts name none
	default:
		if i := slices.IndexFunc(all, func(c command) bool { return slices.Contains(c.names, name) }); i >= 0 {
			return all[i : i+1]
		}
		return all
	}
}

// firstWord is the first argument that is neither a flag of all commands nor the
// value of one; "" where there is none, or a flag before it that is not known.
func firstWord(args []string) string {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch name, _, joined := strings.Cut(arg, "="); {
		case !strings.HasPrefix(arg, "-"):
			return arg
		case name == "--no-input", name == "--accessible", name == "--output" && joined:
		case arg == "--output", arg == "-o":
			i++
		case strings.HasPrefix(arg, "-o"):
		default:
			return ""
		}
	}
	return ""
}
