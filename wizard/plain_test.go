package wizard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/task"
)

// talk is a plain dialogue whose input is lines.
func talk(t *testing.T, s *Session, lines ...string) (*plain, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	p := newPlain(t.Context(), s, PlainOptions{In: strings.NewReader(strings.Join(lines, "")), Out: &out, Now: func() time.Time { return testNow }})
	p.deeds = autoDeeds(found())
	p.configure = ending(fine())
	return p, &out
}

// wholePlain answers every question with a client secret.
var wholePlain = []string{
	"\n", "\n", // location, cloud
	"2\n",                                  // registration
	"admin@contoso.com\n",                  // account
	testClientID + "\n", "contoso.com\r\n", // client id, tenant
	"3\n", "abc~defghijklmnopqrstuvwxyz\n", // credential, secret
	"\n", "\n", // name, configure
	"1\n", // save
}

func TestPlainDialogue(t *testing.T) {
	t.Parallel()
	p, out := talk(t, testSession(), wholePlain...)
	got, err := p.dialogue()
	if err != nil || got == nil || got.Connection.Name != "contoso-exchange" {
		t.Fatalf("outcome %+v, err %v\n%s", got, err, out)
	}
	golden(t, "plain-whole", out.String())
	for _, bad := range []string{"─", "●", "✓", "✗", "→", "›", "…", "\x1b", "⠋", "defghij"} {
		if strings.Contains(out.String(), bad) {
			t.Errorf("%q does not read well aloud", bad)
		}
	}
}

func TestPlainErrorsHelpAndBack(t *testing.T) {
	t.Parallel()
	p, out := talk(t, testSession(),
		"back\n", "3\n", "help\n", "1\n", "back\n", "\n", "global\n",
		"manual\n",
		"admin\n", "\n", "admin@contoso.com\n", "object\n", "back\n", "\n", testClientID+"\n",
		"nowhere.example\n", "\n", "contoso.onmicrosoft.com\n",
		"\n", "Certificate file (PFX or PEM)\n", "/certs/none.pfx\n", "/certs/app.pfx\n", "wrong\n", "open sesame\n",
		"taken\n", "\\back\n", "back\n", "back-2\n", "\n",
		"9\n", "1\n")
	got, err := p.dialogue()
	if err != nil || got == nil {
		t.Fatalf("err %v\n%s", err, out)
	}
	golden(t, "plain-errors", out.String())
	if got.Connection.Name != "back-2" || p.s.Answers.Resolved(keyCertFile) != testThumb {
		t.Errorf("outcome %+v", got)
	}
}

func TestPlainFailedRun(t *testing.T) {
	t.Parallel()
	p, out := talk(t, answered(), "\n", "\n", "\n", "\n", "\n", "\n", "\n", "\n", "\n", "\n", // all as they are
		"3\n", "back\n", "3\n", "99\n", "4\n", "other@contoso.com\n", "\n", "\n", "\n", "\n", "\n", "\n",
		"2\n", "1\n", "1\n")
	p.configure = func(ctx context.Context, s *Session, listen func(task.Event)) (*Outcome, error) {
		listen(task.Event{Kind: task.Progress, ID: "ews", Title: "Exchange Web Services", Text: "Exchange is busy (503), waiting 7 s, try 2 of 5"})
		return ending(blocked())(ctx, s, listen)
	}
	saves := 0
	p.save = func(context.Context, *Session, *Outcome) error {
		if saves++; saves == 1 {
			return errors.New("no space left on device")
		}
		return nil
	}
	got, err := p.dialogue()
	if err != nil || got == nil || got.Verified || saves != 2 {
		t.Fatalf("outcome %+v, saves %d, err %v\n%s", got, saves, err, out)
	}
	if v := p.s.Answers.Get(keyAccount); v != "other@contoso.com" {
		t.Errorf("account %q", v)
	}
	golden(t, "plain-failed", out.String())
}

func TestPlainWrongAnswerFoundByTheRun(t *testing.T) {
	t.Parallel()
	runs := 0
	p, out := talk(t, answered(), "\n", "\n", "\n", "\n", "\n", "\n", "\n", "\n", "\n", "\n", "\n", "\n", "\n", "1\n")
	p.configure = func(ctx context.Context, s *Session, listen func(task.Event)) (*Outcome, error) {
		if runs++; runs == 1 {
			return nil, problem(s, keyThumbprint, errors.New("the key is not on this machine"))
		}
		return ending(fine())(ctx, s, listen)
	}
	if _, err := p.dialogue(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(out.String(), "Certificate thumbprint: the key is not on this machine.") {
		t.Error(out.String())
	}
}

// TestPlainInputEnds ends the input at every question.
func TestPlainInputEnds(t *testing.T) {
	t.Parallel()
	for n := range wholePlain {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			for _, tail := range []string{"", "  "} {
				p, _ := talk(t, testSession(), append(append([]string{}, wholePlain[:n]...), tail)...)
				saved := false
				p.save = func(context.Context, *Session, *Outcome) error { saved = true; return nil }
				got, err := p.dialogue()
				if got != nil || saved || !errors.Is(err, ErrInputEnded) || !errors.Is(err, ErrCancelled) {
					t.Errorf("outcome %v, saved %v, err %v", got, saved, err)
				}
			}
		})
	}
}

// TestPlainCancelled cancels while each question waits for its answer.
func TestPlainCancelled(t *testing.T) {
	t.Parallel()
	for n := range wholePlain {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			in, lines := io.Pipe()
			defer in.Close()
			p := newPlain(ctx, testSession(), PlainOptions{In: in, Out: io.Discard, Now: func() time.Time { return testNow }})
			p.deeds = autoDeeds(found())
			p.configure = ending(fine())
			go func() {
				for _, line := range wholePlain[:n] {
					_, _ = io.WriteString(lines, line)
				}
				cancel()
			}()
			if got, err := p.dialogue(); got != nil || !errors.Is(err, ErrCancelled) || errors.Is(err, ErrInputEnded) {
				t.Errorf("outcome %v, err %v", got, err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	p, _ := talk(t, testSession(), wholePlain...)
	p.ctx = ctx
	p.configure = func(ctx context.Context, _ *Session, _ func(task.Event)) (*Outcome, error) {
		cancel()
		return nil, ctx.Err()
	}
	if got, err := p.dialogue(); got != nil || !errors.Is(err, ErrCancelled) {
		t.Errorf("outcome %v, err %v", got, err)
	}
}

func TestPlainSecretsAreRead(t *testing.T) {
	t.Parallel()
	lines := append(append([]string{}, wholePlain[:7]...), "\n", "\n", "1\n")
	p, out := talk(t, testSession(), lines...)
	given := []string{"", "short", "one two three", "help", "abc~defghijklmnopqrstuvwxyz"}
	var prompts []string
	p.secret = func(prompt string) (connections.Secret, error) {
		prompts = append(prompts, prompt)
		text := given[0]
		given = given[1:]
		return connections.NewSecret(text), nil
	}
	if _, err := p.dialogue(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(prompts) != 5 || prompts[0] != "Client secret (not shown): " {
		t.Errorf("prompts %q", prompts)
	}
	if got := string(p.s.Answers[keySecret].Secret.Reveal()); got != "abc~defghijklmnopqrstuvwxyz" {
		t.Error("the secret is another")
	}
	for _, want := range []error{io.EOF, context.Canceled, ErrCancelled} {
		p, _ := talk(t, testSession(), lines...)
		p.secret = func(string) (connections.Secret, error) { return connections.Secret{}, want }
		_, err := p.dialogue()
		if !errors.Is(err, ErrCancelled) || errors.Is(err, ErrInputEnded) != errors.Is(want, io.EOF) {
			t.Errorf("%v became %v", want, err)
		}
	}
}
