package psremoting_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	. "github.com/c2conn/c2conn/internal/psremoting"
)

func TestCommandErrors(t *testing.T) {
	t.Parallel()
	const syntax = "The syntax is not supported by this runspace. This can occur if the runspace is in no-language mode."
	notFound := record("", "[Server=EXCH01,RequestId=1] A1B2,Microsoft.Exchange.Management.RecipientTasks.GetMailbox", "Deserialized.Microsoft.Exchange.ManagementObjectNotFoundException", "No \x1f\u202ebob.", 7)
	failed := func(r string) string { return strings.Replace(r, "<Obj ", `<Obj N="ExceptionAsErrorRecord" `, 1) }
	noCommand := record("", "CommandNotFoundException", "System.Management.Automation.CommandNotFoundException", "The term 'Get-X' is not recognized.", 13)
	script := record("", "ScriptsNotAllowed", "System.Management.Automation.RemoteException", syntax, 0)
	details := strings.Replace(noCommand, `<B N="SerializeExtendedInfo">`, `<S N="ErrorDetails_Message">In other words.</S><B N="SerializeExtendedInfo">`, 1)
	details = strings.ReplaceAll(details, "CommandNotFoundException", "OtherException")

	for name, c := range map[string]struct {
		run     func(string, [16]byte) []step
		want    error  // its type
		message string // of the CommandError within
		id      string
		kind    string
		objects int
		errors  int
	}{
		"record": {say(4, "", pipelineOutput, "<S>a</S>", errorRecord, strings.ReplaceAll(notFound, "\x1f", "_x001F_"), pipelineOutput, "<S>b</S>", errorRecord, noCommand), &CommandError{},
			"No bob.", "[Server=EXCH01,RequestId=1] A1B2,Microsoft.Exchange.Management.RecipientTasks.GetMailbox", "InvalidOperation", 2, 2},
		"no command, failed":     {say(5, failed(noCommand)), &NoCommandError{}, "The term 'Get-X' is not recognized.", "CommandNotFoundException", "ObjectNotFound", 0, 0},
		"no command, record":     {say(4, "", errorRecord, noCommand), &NoCommandError{}, "The term 'Get-X' is not recognized.", "CommandNotFoundException", "ObjectNotFound", 0, 1},
		"no language":            {say(5, failed(script)), &LanguageError{}, syntax, "ScriptsNotAllowed", "NotSpecified", 0, 0},
		"no language, by text":   {say(5, failed(strings.ReplaceAll(script, "ScriptsNotAllowed", "x"))), &LanguageError{}, syntax, "x", "NotSpecified", 0, 0},
		"details":                {say(5, failed(details)), &CommandError{}, "In other words.", "OtherException", "ObjectNotFound", 0, 0},
		"failure before records": {say(5, failed(noCommand), errorRecord, details), &NoCommandError{}, "The term 'Get-X' is not recognized.", "CommandNotFoundException", "ObjectNotFound", 0, 1},
		"stopped":                {say(3, ""), &StoppedError{}, "", "", "", 0, 0},
		"failed without a word":  {say(5, `<Nil N="ExceptionAsErrorRecord"/>`), &StoppedError{}, "", "", "", 0, 0},
		"a bare record":          {say(4, "", errorRecord, `<Obj RefId="0"><ToString>Broken.</ToString><MS><I32 N="ErrorCategory_Category">99</I32></MS></Obj>`), &CommandError{}, "Broken.", "", "", 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, c.run)
			session := s.open(s.options())
			out, err := session.Run(t.Context(), command("Get-X"))
			if reflect.TypeOf(err) != reflect.TypeOf(c.want) {
				t.Fatalf("%T %v", err, err)
			}
			if len(out.Objects) != c.objects || len(out.Errors) != c.errors {
				t.Errorf("%+v", out)
			}
			var e *CommandError
			if errors.As(err, &e) != (c.kind != "" || c.message != "") {
				t.Errorf("%T", err)
			}
			if e != nil && (e.Message != c.message || e.FullyQualifiedErrorID != c.id || e.Category != c.kind || e.Command != "Get-X" || err.Error() != "Get-X: "+c.message) {
				t.Errorf("%+v", e)
			}
			if e != nil && c.kind == "InvalidOperation" && (e.ExceptionType != "Microsoft.Exchange.ManagementObjectNotFoundException" || e.Reason != "AReason") {
				t.Errorf("%+v", e)
			}
			// The session is as good as before.
			if _, again := session.Run(t.Context(), command("Get-X")); errors.Is(again, ErrGivenUp) {
				t.Error(again)
			}
			if got := s.seen(); strings.Count(got, "Signal Terminate") != 2 {
				t.Error(got)
			}
		})
	}
}

func TestWarningsAndConsole(t *testing.T) {
	t.Parallel()
	warning := func(s string) string {
		return `<Obj RefId="0"><TN RefId="0"><T>System.Management.Automation.WarningRecord</T></TN><ToString>x</ToString><MS><S N="InformationalRecord_Message">` + s + `</S></MS></Obj>`
	}
	call := func(n int, name string) string {
		return fmt.Sprintf(`<Obj RefId="0"><MS><I64 N="ci">1</I64><Obj N="mi" RefId="1"><TN RefId="0"><T>System.Management.Automation.Remoting.RemoteHostMethodId</T><T>System.Enum</T></TN>`+
			`<ToString>%s</ToString><I32>%d</I32></Obj><Obj N="mp" RefId="2"><TN RefId="1"><T>System.Collections.ArrayList</T></TN><LST/></Obj></MS></Obj>`, name, n)
	}
	s := newServer(t, say(4, "", warningRecord, warning("There are_x000A_more \u202eresults."), warningRecord, warning(""), progressRecord, "not looked at",
		pipelineHostCall, call(16, "WriteLine2"), pipelineHostCall, call(22, "WriteWarningLine"), pipelineHostCall, call(42, "SetWindowTitle"), poolHostCall, call(6, "SetShouldExit"), pipelineOutput, "<S>a</S>"))
	out, err := s.open(s.options()).Run(t.Context(), command("Get-X"))
	if err != nil || !reflect.DeepEqual(out.Warnings, []string{"There are more results."}) || len(out.Objects) != 1 {
		t.Errorf("%+v %v", out, err)
	}

	for n, name := range map[int]string{11: "ReadLine", 12: "ReadLineAsSecureString", 23: "Prompt", 26: "PromptForChoice", 41: "GetWindowTitle", 99: ""} {
		s := newServer(t, say(0, "", pipelineHostCall, call(n, name)))
		session := s.open(s.options())
		_, err := session.Run(t.Context(), command("Remove-X"))
		var e *HostCallError
		if !errors.As(err, &e) || e.Command != "Remove-X" || name != "" && e.Method != name {
			t.Errorf("%T %v", err, err)
		}
		if got := s.seen(); !strings.HasSuffix(got, "Command, Receive, Signal crtl_c") {
			t.Error(got)
		}
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"Command", "Receive"} {
		s := newServer(t, outputs())
		session := s.open(s.options())
		ctx, cancel := context.WithCancel(t.Context())
		s.hook = func(q request) (int, string) {
			if q.op == at {
				cancel()
				<-q.http.Context().Done() // the client has gone
				return 500, ""
			}
			return 0, ""
		}
		if _, err := session.Run(ctx, command("Get-X")); !errors.Is(err, context.Canceled) {
			t.Errorf("%T %v", err, err)
		}
		if _, err := session.Run(t.Context(), command("Get-X")); !errors.Is(err, ErrGivenUp) {
			t.Error(err)
		}
		if err := session.Close(ctx); err != nil || s.left() != 0 {
			t.Error(err)
		}
		if got := s.seen(); !strings.HasSuffix(got, at+", Signal crtl_c, Delete") {
			t.Error(got)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	s := newServer(t, outputs())
	o := s.options()
	o.CloseLimit = time.Millisecond
	busy, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s.hook = func(q request) (int, string) {
		<-q.http.Context().Done()
		return 500, ""
	}
	o.Limit = time.Millisecond
	if _, err := Open(t.Context(), o); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%T %v", err, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := busy.Run(ctx, command("Get-X")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%T %v", err, err)
	}
	if err := busy.Close(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%T %v", err, err)
	}
}

// TestCloseStops closes a session whose command does not end.
func TestCloseStops(t *testing.T) {
	t.Parallel()
	s := newServer(t, outputs())
	session := s.open(s.options())
	running, ended := make(chan struct{}), make(chan error)
	s.hook = func(q request) (int, string) {
		if q.op == "Receive" {
			close(running)
			<-q.http.Context().Done()
			return 500, ""
		}
		return 0, ""
	}
	go func() {
		_, err := session.Run(context.Background(), command("Get-X"))
		ended <- err
	}()
	<-running
	if err := session.Close(t.Context()); err != nil || s.left() != 0 {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("%T %v", err, err)
	}
	if got := s.seen(); got != "Create, Receive, Receive, Command, Receive, Signal crtl_c, Delete" {
		t.Error(got)
	}
}

func TestCloseFails(t *testing.T) {
	t.Parallel()
	s := newServer(t, outputs())
	session := s.open(s.options())
	code := 995
	s.hook = func(q request) (int, string) {
		if q.op == "Delete" {
			return 500, fault(q, code, "x")
		}
		return 0, ""
	}
	var e *Error
	if err := session.Close(t.Context()); !errors.As(err, &e) || e.Op != "Delete" || e.Code != 995 {
		t.Errorf("%T %v", err, err)
	}
	code = 2150858843
	if err := s.open(s.options()).Close(t.Context()); err != nil {
		t.Error("a shell that is gone is gone:", err)
	}
}
