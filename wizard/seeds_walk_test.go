package wizard_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/internal/cli"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/wizard"
)

// seedWalker holds rows of the table against the program.
type seedWalker struct {
	root *cobra.Command
	home string

	mu      sync.Mutex
	printed map[string]string
	covered map[string]int // the line that tells of a flow, and of a step, a field, an option or a check of it
}

func newSeedWalker(t *testing.T) *seedWalker {
	t.Helper()
	return &seedWalker{root: cli.Commands()[0], home: t.TempDir(), printed: map[string]string{}, covered: map[string]int{}}
}

// walk proves a row, for each kind that it is about.
func (w *seedWalker) walk(t *testing.T, row seedRow) (complaints []string) {
	t.Helper()
	for _, one := range row.perKind() {
		if err := w.prove(t, one); err != nil {
			complaints = append(complaints, complaint(row.line, "%s: %v", one.commands[0], err))
		}
	}
	return complaints
}

func (w *seedWalker) prove(t *testing.T, row seedRow) error {
	t.Helper()
	helps := ""
	for _, command := range row.commands {
		cmd, err := w.find(command)
		if err != nil {
			return err
		}
		help := w.run(t, append(strings.Fields(cmd.CommandPath())[1:], "--help")...)
		helps += help
		for _, word := range strings.Fields(command) {
			if strings.HasPrefix(word, "--") && !hasFlag(help, word) {
				return fmt.Errorf("its help has no flag %s", word)
			}
		}
	}
	for _, f := range row.flags {
		if name, _, _ := strings.Cut(f, " "); !hasFlag(helps, name) {
			return fmt.Errorf("the help has no flag %s", name)
		}
	}
	switch command := strings.Fields(row.commands[0]); {
	case row.place == "--help":
		return sees(helps, row.words)
	case row.place == "printed":
		for _, c := range row.commands {
			if err := sees(w.run(t, strings.Fields(c)...), row.words); err != nil {
				return fmt.Errorf("%s: %w", c, err)
			}
		}
		return nil
	case command[0] == "manage":
		return w.onManage(t, row)
	case command[0] == "new":
		return w.inFlow(t, row)
	case command[0] == "edit":
		return drawn(wizard.EditScene(t), row)
	}
	return fmt.Errorf("nothing shows what it says: a wizard, manage, printed or --help does")
}

// find is the command that a line of words runs.
func (w *seedWalker) find(line string) (*cobra.Command, error) {
	w.mu.Lock() // cobra notes there what it was called as
	defer w.mu.Unlock()
	cmd, _, err := w.root.Find(strings.Fields(line))
	if err != nil || cmd.HasSubCommands() {
		return nil, fmt.Errorf("there is no command c2conn %s", line)
	}
	return cmd, nil
}

func hasFlag(help, name string) bool {
	return regexp.MustCompile(`(?m)^ +(-\w, )?` + regexp.QuoteMeta(name) + `( |$)`).MatchString(help)
}

// run is what c2conn prints.
func (w *seedWalker) run(t *testing.T, args ...string) string {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	line := strings.Join(args, " ")
	if text, ok := w.printed[line]; ok {
		return text
	}
	var out, errs bytes.Buffer
	env := map[string]string{"C2CONN_HOME": w.home}
	code := cli.Main(t.Context(), args, cli.Streams{Out: &out, Err: &errs}, cli.Environment{
		Getenv: func(name string) string { return env[name] }, ReadFile: os.ReadFile, Clock: transport.SystemClock(),
	})
	if code != 0 {
		t.Errorf("c2conn %s: exit code %d\n%s", line, code, errs.String())
	}
	w.printed[line] = out.String()
	return out.String()
}

// sees wants all words in the text, wherever its lines break.
func sees(text string, words []string) error {
	text = strings.Join(strings.Fields(text), " ")
	for _, one := range words {
		if !strings.Contains(text, one) {
			return fmt.Errorf("it does not say %q", one)
		}
	}
	return nil
}

func (w *seedWalker) onManage(t *testing.T, row seedRow) error {
	t.Helper()
	switch row.place {
	case "connections":
		return sees(wizard.DrawManage(t, false), row.words)
	case "connections, n":
		return sees(wizard.DrawManage(t, false, "n"), row.words)
	case "connections, changed":
		return sees(wizard.DrawManage(t, true), row.words)
	case "connections, esc":
		return sees(wizard.DrawManage(t, true, "esc"), row.words)
	}
	return fmt.Errorf("%q is no place of manage", row.place)
}

// source answers from the flags of a command line and from one variable.
func (w *seedWalker) source(flow *wizard.Flow, line, variable string) wizard.Source {
	given := map[string]string{}
	cmd, _ := w.find(flow.Verb)
	words := strings.Fields(line)
	for i, word := range words {
		name, ok := strings.CutPrefix(word, "--")
		if !ok {
			continue
		}
		given[name] = "true"
		if f := cmd.Flags().Lookup(name); f != nil && f.Value.Type() != "bool" && i+1 < len(words) {
			given[name] = words[i+1]
		}
	}
	name, value, _ := strings.Cut(variable, "=")
	return wizard.Source{
		Flag:     func(name string) (string, bool) { v, ok := given[name]; return v, ok },
		ReadFile: func(string) ([]byte, error) { return []byte("x8Q~placeholder-placeholder"), nil },
		Stdin:    strings.NewReader("x8Q~placeholder-placeholder"),
		Getenv: func(asked string) string {
			if asked == name {
				return value
			}
			return ""
		},
	}
}

// flowOf is the flow that a command runs.
func flowOf(command string) *wizard.Flow {
	for _, flow := range wizard.Flows() {
		if strings.HasPrefix(command+" ", flow.Verb+" ") {
			return flow
		}
	}
	return nil
}

// inFlow proves a row about a wizard.
func (w *seedWalker) inFlow(t *testing.T, row seedRow) error {
	t.Helper()
	flow := flowOf(row.commands[0])
	sc := wizard.NewScene(t, flow, w.source(flow, row.commands[0], ""))
	given := func(flag, variable string) wizard.Answers {
		s := wizard.NewSession(flow, sc.Session().Env)
		s.Fill(w.source(flow, flag, variable))
		return s.Answers
	}
	if row.nowhere {
		f, err := unasked(sc, row)
		if err != nil {
			return err
		}
		w.cover(row.line, sc, "field", f.Key)
		return answers(f, row, given)
	}
	if err := drawn(sc, row); err != nil {
		return err
	}
	switch row.kind {
	case "check":
		return w.checked(sc, row)
	case "step":
		if st, ok := stepOf(sc, row.path[0]); ok {
			w.cover(row.line, sc, "step", st.ID)
		}
	case "field", "choice":
		want := map[string]int{"field": 2, "choice": 3}[row.kind]
		if len(row.path) != want {
			return fmt.Errorf("a %s has %d parts: %s", row.kind, want, strings.Join(row.path, " › "))
		}
		f, o, err := asked(sc, row.path)
		if err != nil {
			return err
		}
		if row.kind == "choice" {
			w.cover(row.line, sc, row.kind, f.Key, o.Value)
			return chosen(f, o, row, given)
		}
		w.cover(row.line, sc, row.kind, f.Key)
		return answers(f, row, given)
	}
	return nil
}

// answers wants the flags and the variable of a field, all of them and no others, and
// that the variable is heeded.
func answers(f wizard.Field, row seedRow, given func(flag, variable string) wizard.Answers) error {
	for _, flag := range row.flags {
		if !slices.Contains(f.Flags(), flag) {
			return fmt.Errorf("%s does not answer “%s”; %s would", flag, f.Title, strings.Join(f.Flags(), ", "))
		}
	}
	for _, flag := range f.Flags() {
		if !slices.Contains(row.flags, flag) {
			return fmt.Errorf("“%s” has the flag %s as well", f.Title, flag)
		}
	}
	if !slices.Equal(row.variables, []string{f.EnvName()}) {
		return fmt.Errorf("the variable of “%s” is %s", f.Title, f.EnvName())
	}
	if given("", f.EnvName()+"=heeded")[f.Key].From != f.EnvName() {
		return fmt.Errorf("%s is not heeded", f.EnvName())
	}
	return nil
}

// chosen wants that the flag and the variable choose the option, and no flag left out.
func chosen(f wizard.Field, o wizard.Option, row seedRow, given func(flag, variable string) wizard.Answers) error {
	if len(row.variables) != 1 || row.variables[0] != f.EnvName()+"="+o.Value {
		return fmt.Errorf("the variable of “%s” is %s=%s", o.Title, f.EnvName(), o.Value)
	}
	if got := given("", row.variables[0]).Get(f.Key); got != o.Value {
		return fmt.Errorf("%s chooses %q", row.variables[0], got)
	}
	if len(row.flags) == 0 && (o.Flag != "" || f.FlagName() != "") {
		return fmt.Errorf("“%s” has a flag: --%s", o.Title, strings.TrimSpace(o.Flag+f.FlagName()))
	}
	for _, flag := range row.flags {
		if got := given(flag, "").Get(f.Key); got != o.Value {
			return fmt.Errorf("%s chooses %q, not %q", flag, got, o.Value)
		}
	}
	return nil
}

// checked wants the check among those that Configure runs.
func (w *seedWalker) checked(sc *wizard.Scene, row seedRow) error {
	for _, one := range sc.Session().Tasks() {
		if one.ID == row.check && one.Title == row.path[len(row.path)-1] {
			w.cover(row.line, sc, "check", row.check)
			return nil
		}
	}
	return fmt.Errorf("Configure runs no check %s (%s)", row.check, row.path[len(row.path)-1])
}

// unasked is a field that a script can answer and no dialogue asks for.
func unasked(sc *wizard.Scene, row seedRow) (wizard.Field, error) {
	for _, f := range sc.Session().Flow.Fields() {
		if len(row.variables) != 1 || f.EnvName() != row.variables[0] {
			continue
		}
		for _, st := range sc.Session().Steps() {
			if _, _, err := asked(sc, []string{st.Title, f.Title}); err == nil {
				return f, fmt.Errorf("“%s” is on the screen: %s", f.Title, st.Title)
			}
		}
		return f, nil
	}
	return wizard.Field{}, errors.New("no field has this variable")
}

func stepOf(sc *wizard.Scene, title string) (wizard.Step, bool) {
	steps := sc.Session().Steps()
	i := slices.IndexFunc(steps, func(st wizard.Step) bool { return st.Title == title })
	if i < 0 {
		return wizard.Step{}, false
	}
	return steps[i], true
}

// asked is the field, and the option of it, that a path names.
func asked(sc *wizard.Scene, path []string) (f wizard.Field, o wizard.Option, err error) {
	st, _ := stepOf(sc, path[0])
	for _, f := range sc.Session().Asked(st) {
		if f.Title != path[1] {
			continue
		}
		if len(path) == 2 {
			return f, o, nil
		}
		for _, o := range f.Options(sc.Session().Env) {
			if o.Title == path[2] {
				return f, o, nil
			}
		}
	}
	return f, o, fmt.Errorf("nothing asks for %s", strings.Join(path, " › "))
}

// drawn wants what the row says on the screen.
func drawn(sc *wizard.Scene, row seedRow) error {
	title, page, _ := strings.Cut(row.place, ", ")
	if row.path != nil {
		title = row.path[0]
	}
	st, ok := stepOf(sc, title)
	if !ok {
		return fmt.Errorf("it has no step “%s” here", title)
	}
	switch {
	case page == "help":
		return sees(sc.HelpAt(st), row.words)
	case page == "afterwards":
		return sees(sc.Configured()+sc.Keys(), row.words)
	case page != "":
		return fmt.Errorf("%q is no page of a step", page)
	}
	text := sc.At(st)
	if row.kind == "button" {
		text += sc.Keys()
	}
	if !regexp.MustCompile(`(?m)^ *` + regexp.QuoteMeta(st.Title) + `( .*)?$`).MatchString(text) {
		return fmt.Errorf("“%s” does not stand at the head", st.Title)
	}
	for i, part := range row.path[min(1, len(row.path)):] {
		line := []string{`^ *%s( \(optional\))?$`, `^[ ›]*\([ •–]\) %s$`}[i]
		if row.kind == "check" {
			line = `^ *\S %s( .*)?$`
		}
		if !regexp.MustCompile(`(?m)` + fmt.Sprintf(line, regexp.QuoteMeta(part))).MatchString(text) {
			return fmt.Errorf("“%s” is not drawn", part)
		}
	}
	return sees(text, row.words)
}
