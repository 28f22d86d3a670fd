package wizard

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/registration"
)

// partner is somebody at a plain dialogue: it types a line when it is asked for one.
// A line "text|answer" is typed as soon as text was said since the last line.
type partner struct {
	mu    sync.Mutex
	said  sync.Cond
	out   bytes.Buffer
	heard int // what was said before the last line
	lines []string
}

func newPartner(lines ...string) *partner {
	p := &partner{lines: lines}
	p.said.L = &p.mu
	return p
}

func (p *partner) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said.Broadcast()
	return p.out.Write(b)
}

func (p *partner) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.lines) == 0 {
		return 0, io.EOF
	}
	text, answer, on := strings.Cut(p.lines[0], "|")
	if !on {
		answer = text
	}
	for {
		news := p.out.String()[p.heard:]
		if on && strings.Contains(news, text) || !on && news != "" && !strings.HasSuffix(news, "\n") {
			break
		}
		p.said.Wait()
	}
	p.lines, p.heard = p.lines[1:], p.out.Len()
	return copy(b, answer+"\n"), nil
}

func (p *partner) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// talkAuto is a plain dialogue of automatic registration in the tenant f.
func talkAuto(t *testing.T, f *registration.Findings, change func(*deeds), lines ...string) (*plain, *partner) {
	t.Helper()
	who := newPartner(lines...)
	p := newPlain(t.Context(), testSession(), PlainOptions{In: who, Out: who, Now: func() time.Time { return testNow },
		Copy: func(string) error { return nil }})
	p.deeds = autoDeeds(f)
	if change != nil {
		change(&p.deeds)
	}
	return p, who
}

// The answers of a dialogue that registers.
var (
	plainToSignIn = []string{"", "", "", "", "", ""} // location, cloud, registration, login, tenant, sign in
	plainToPlan   = append(plainToSignIn[:6:6], "", "", "", "", "")
	plainToRun    = append(plainToPlan[:11:11], "", "", "") // plan, name, configure
)

func then(before []string, lines ...string) []string {
	return append(before[:len(before):len(before)], lines...)
}

func TestPlainRegistration(t *testing.T) {
	t.Parallel()
	withoutRights := found()
	halfAdmin(withoutRights)
	existing := found()
	sameName(existing)
	broken := breaking(errors.New("the service is unavailable"))
	tests := []struct {
		name   string
		f      *registration.Findings
		change func(*deeds)
		lines  []string
		saved  bool
	}{
		{"automatic", found(), nil, then(plainToRun, "1"), true},
		{"code", found(), nil, []string{"", "", "", "2", "", "", "other", "2", "", "", "", "", "", "", "", "back", "", "copy", "", "", "", "1"}, true},
		{"stopped", found(), func(do *deeds) { do.signIn = signingIn(nil) },
			then(plainToSignIn, "Waiting for you|what?", "Still waiting|copy", "Copied|stop", "4", "Waiting for you|stop", "3"), false},
		{"turned", found(), func(do *deeds) {
			done := false
			do.signIn = func(ctx context.Context, s *Session, show func(SignInPrompt)) error {
				if !done {
					done = true
					return blockedCode()
				}
				return signingIn(found())(ctx, s, show)
			}
		}, []string{"", "", "", "2", "", "", "", "", "back", "back", "", "", "", "", "", "", "", "", "", "1"}, true},
		{"waiting", withoutRights, func(do *deeds) { do.configure = waiting },
			[]string{"", "", "", "", "", "", "", "admin@contoso.com", "", "", "", "", "", "", "1"}, true},
		{"existing", existing, nil, then(plainToPlan, "", "1", "", "", "", "1"), true},
		{"halfway", found(), func(do *deeds) { do.configure = broken }, then(plainToRun, "9", "2", "no", "2", "yes", "", "", "", "3"), false},
		{"policy", strict(found()), func(do *deeds) {
			do.configure = func(ctx context.Context, s *Session, listen func(task.Event)) (*Outcome, error) {
				if s.Value(keyCertDays).Text == "180" {
					return registering(fine())(ctx, s, listen)
				}
				return breaking(lifetime())(ctx, s, listen)
			}
		}, then(plainToRun, "", "1"), true},
		{"unfinished", found(), func(do *deeds) { do.unfinished = leftBy(unfinished()) }, []string{"3", "", "", "", "", "", "", "", "", "", "", "", "1"}, true},
		{"cleanup", found(), func(do *deeds) { do.unfinished = leftBy(unfinished()) },
			[]string{"2", "", "", "", "", "yes", "", "", "", "", "", "", "", "4", "2", "yes"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, who := talkAuto(t, tt.f, tt.change, tt.lines...)
			out, err := p.dialogue()
			if saved := out != nil; saved != tt.saved || saved == (err != nil) || !saved && (!errors.Is(err, ErrCancelled) || errors.Is(err, ErrInputEnded)) {
				t.Errorf("outcome %v, err %v", out, err)
			}
			if len(who.lines) > 0 {
				t.Errorf("lines that were not asked for: %q", who.lines)
			}
			golden(t, "plain-auto-"+tt.name, who.text())
			for _, bad := range []string{"─", "●", "✓", "✗", "→", "›", "…", "\x1b", "⠋", "█"} {
				if strings.Contains(who.text(), bad) {
					t.Errorf("%q does not read well aloud", bad)
				}
			}
		})
	}
}

// TestPlainSignInEnds ends the dialogue while a sign-in is waited for.
func TestPlainSignInEnds(t *testing.T) {
	t.Parallel()
	p, _ := talkAuto(t, found(), func(do *deeds) { do.signIn = signingIn(nil) }, plainToSignIn...)
	if out, err := p.dialogue(); out != nil || !errors.Is(err, ErrInputEnded) {
		t.Errorf("the input has ended: outcome %v, err %v", out, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p, _ = talkAuto(t, found(), func(do *deeds) {
		do.signIn = func(ctx context.Context, _ *Session, show func(SignInPrompt)) error {
			show(codePrompt)
			cancel()
			<-ctx.Done()
			return ctx.Err()
		}
	}, then(plainToSignIn, "never|")...)
	p.ctx = ctx
	if out, err := p.dialogue(); out != nil || !errors.Is(err, ErrCancelled) || errors.Is(err, ErrInputEnded) {
		t.Errorf("cancelled: outcome %v, err %v", out, err)
	}
}
