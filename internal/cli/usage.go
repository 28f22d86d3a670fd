package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// usage prints what a command takes. It is a function and not a template: a
// template links text/template, whose reflection keeps every method of the Graph
// models in the binary.
func usage(cmd *cobra.Command) error {
	w := cmd.OutOrStderr()
	var b strings.Builder
	line := cmd.CommandPath() + " COMMAND"
	if cmd.Runnable() && !cmd.HasAvailableSubCommands() {
		line = cmd.UseLine()
	}
	section(&b, "Usage", "  "+line)
	if len(cmd.Aliases) > 0 {
		section(&b, "Aliases", "  "+cmd.NameAndAliases())
	}
	section(&b, "Examples", cmd.Example)
	for _, g := range cmd.Groups() {
		section(&b, g.Title, children(cmd, g.ID))
	}
	section(&b, "Commands", children(cmd, ""))
	if cmd.HasAvailableLocalFlags() {
		section(&b, "Flags", strings.TrimRight(cmd.LocalFlags().FlagUsagesWrapped(100), "\n "))
	}
	if cmd.HasAvailableInheritedFlags() {
		section(&b, "Flags of all commands", strings.TrimRight(cmd.InheritedFlags().FlagUsagesWrapped(100), "\n "))
	}
	if cmd.HasAvailableSubCommands() {
		section(&b, "", "More about one of them: "+cmd.CommandPath()+" COMMAND --help")
	}
	_, err := io.WriteString(w, strings.TrimPrefix(b.String(), "\n"))
	return err
}

func section(b *strings.Builder, title, text string) {
	if text == "" {
		return
	}
	b.WriteString("\n")
	if title != "" {
		b.WriteString(title + "\n")
	}
	b.WriteString(text + "\n")
}

func children(cmd *cobra.Command, group string) string {
	var lines []string
	for _, c := range cmd.Commands() {
		if c.GroupID == group && (c.IsAvailableCommand() || c.Name() == "help") {
			lines = append(lines, fmt.Sprintf("  %-*s %s", c.NamePadding(), c.Name(), c.Short))
		}
	}
	return strings.Join(lines, "\n")
}
