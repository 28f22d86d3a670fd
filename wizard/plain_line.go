package wizard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
)

// passwordGrace is how long a reader of passwords may take to put the terminal
// right after Ctrl-C.
const passwordGrace = 500 * time.Millisecond

// say writes a line.
func (p *plain) say(format string, args ...any) {
	_, _ = fmt.Fprintf(p.out, format+"\n", args...) // a terminal that is gone ends the input too
}

// line asks for a line and obeys the words that are no answers.
func (p *plain) line(st Step, prompt string) (string, error) {
	for {
		_, _ = io.WriteString(p.out, prompt)
		text, err := p.readLine()
		if err != nil {
			return "", err
		}
		text, done, err := p.command(st, text)
		if done || err != nil {
			return text, err
		}
	}
}

// readSecret is line for a secret. Without a reader of its own it is a line of the
// input.
func (p *plain) readSecret(st Step, prompt string) (connections.Secret, error) {
	for {
		var text connections.Secret
		if p.secret == nil {
			_, _ = io.WriteString(p.out, prompt)
			line, err := p.readLine()
			if err != nil {
				return text, err
			}
			text = connections.NewSecret(line)
		} else {
			secret, err := await(p.ctx, passwordGrace, func() (connections.Secret, error) { return p.secret(prompt) })
			if err != nil {
				return text, p.ended(err)
			}
			text = secret
		}
		if len(text.Reveal()) > len(`\back`) {
			return text, nil // no word of ours; do not take a secret apart
		}
		word, done, err := p.command(st, string(text.Reveal()))
		if err != nil {
			return text, err
		}
		if done {
			return connections.NewSecret(word), nil
		}
	}
}

// command tells help and back from answers. A backslash before them makes them one.
func (p *plain) command(st Step, text string) (answer string, done bool, err error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "help", "?":
		p.say("%s", spoken(st.Help))
		for _, f := range p.s.Asked(st) {
			if f.Help != "" {
				p.say("%s %s", label(f.Title), spoken(f.Help))
			}
		}
		return "", false, nil
	case "back":
		return "", true, errBack
	case `\help`, `\?`, `\back`:
		return strings.TrimPrefix(strings.TrimSpace(text), `\`), true, nil
	}
	return text, true, nil
}

// lineRead is a line of the input, or why there is none.
type lineRead struct {
	text string
	err  error
}

// readLine reads one line and comes back when ctx ends, too.
func (p *plain) readLine() (string, error) {
	if p.ctx.Err() != nil {
		return "", ErrCancelled
	}
	select {
	case r := <-p.nextLine():
		return p.taken(r)
	case <-p.ctx.Done():
		return "", ErrCancelled
	}
}

// nextLine begins to read a line, unless one is being read: who waits for something
// else as well may not have fetched it. What comes is to be given to taken.
func (p *plain) nextLine() chan lineRead {
	if p.reading == nil {
		reading := make(chan lineRead, 1)
		p.reading = reading
		go func() {
			text, err := p.in.ReadString('\n')
			reading <- lineRead{text, err}
		}()
	}
	return p.reading
}

func (p *plain) taken(r lineRead) (string, error) {
	p.reading = nil
	line := strings.TrimRight(r.text, "\r\n")
	if r.err != nil && (!errors.Is(r.err, io.EOF) || strings.TrimSpace(line) == "") {
		return "", p.ended(r.err)
	}
	return line, nil
}

// ended turns the error of a read into that of the dialogue.
func (p *plain) ended(err error) error {
	switch {
	case p.ctx.Err() != nil, errors.Is(err, context.Canceled), errors.Is(err, ErrCancelled):
		return ErrCancelled
	case errors.Is(err, io.EOF):
		return ErrInputEnded
	}
	return fmt.Errorf("the answer could not be read: %w", err)
}

// await runs a read that knows nothing of ctx. One that goes on when ctx has ended
// is left behind after grace.
func await[T any](ctx context.Context, grace time.Duration, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	var none T
	if ctx.Err() != nil {
		return none, ctx.Err()
	}
	got := make(chan result, 1)
	go func() {
		v, err := read()
		got <- result{v, err}
	}()
	select {
	case r := <-got:
		return r.value, r.err
	case <-ctx.Done():
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-got:
	case <-timer.C:
	}
	return none, ctx.Err()
}

// spoken is text of a screen in a form that reads well aloud.
func spoken(s string) string {
	return strings.NewReplacer(" › ", ", then ", "→ ", "", "…", "").Replace(clean(s))
}

// sentence ends s with a full stop, unless it ends already.
func sentence(s string) string {
	s = spoken(s)
	if s == "" || strings.ContainsAny(s[len(s)-1:], ".?!") {
		return s
	}
	return s + "."
}

// label is a title in front of what is said of it.
func label(title string) string {
	if strings.HasSuffix(title, "?") {
		return title
	}
	return title + ":"
}
