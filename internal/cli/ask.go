package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/wizard"
)

// ask puts a yes-or-no question on standard error; Enter means no.
func (a *app) ask(ctx context.Context, question string) (bool, error) {
	a.errorf("%s [y/N] ", question)
	line, err := a.readLine(ctx)
	if err != nil {
		return false, err
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true, nil
	}
	return false, nil
}

// readLine reads one line of standard input and obeys Ctrl-C while it waits.
func (a *app) readLine(ctx context.Context) (string, error) {
	type answer struct {
		line string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReaderSize(a.In, 16).ReadString('\n')
		got <- answer{line, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case r := <-got:
		if errors.Is(r.err, io.EOF) && r.line == "" {
			return "", wizard.ErrCancelled
		}
		return r.line, nil
	}
}

// askPassphrase asks for the passphrase that protects the secrets of this store.
// It is asked for on the screen while there is one.
func (a *app) askPassphrase(ctx context.Context, confirm bool) (connections.Secret, error) {
	a.mu.Lock()
	onScreen := a.passphraseOnScreen
	a.mu.Unlock()
	if onScreen != nil {
		return onScreen(ctx, confirm)
	}
	if !confirm {
		return a.readPassword(ctx, "Passphrase of c2conn's secrets: ")
	}
	a.errorf("The keychain cannot be used here. Choose a passphrase that protects the secrets of c2conn;\nit will be asked for whenever one is used.\n")
	secret, err := a.newPassphrase(ctx)
	if err == nil && secret.IsZero() {
		err = connections.ErrPassphraseNeeded
	}
	return secret, err
}

// newPassphrase asks for a new passphrase until it was typed twice alike. Enter alone
// gives none.
func (a *app) newPassphrase(ctx context.Context) (connections.Secret, error) {
	for {
		first, err := a.readPassword(ctx, "New passphrase: ")
		if err != nil || first.IsZero() {
			return connections.Secret{}, err
		}
		again, err := a.readPassword(ctx, "Once more: ")
		if err != nil {
			return connections.Secret{}, err
		}
		if first.Equal(again) {
			return first, nil
		}
		a.errorf("The two are not the same.\n")
	}
}

// setPassphraseOnScreen makes a screen the place where a passphrase is asked for;
// nil when it is gone.
func (a *app) setPassphraseOnScreen(ask wizard.AskPassphrase) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.passphraseOnScreen = ask
}

// secretInput is standard input for a secret: what comes through a pipe as it is;
// in a terminal a hidden line.
func (a *app) secretInput(ctx context.Context) io.Reader {
	if !a.InTerminal {
		return a.In
	}
	return &hiddenLine{ask: func() (connections.Secret, error) { return a.readPassword(ctx, "Secret (not shown): ") }}
}

// hiddenLine is a reader that asks when it is read.
type hiddenLine struct {
	ask  func() (connections.Secret, error)
	text *bytes.Reader
}

func (h *hiddenLine) Read(p []byte) (int, error) {
	if h.text == nil {
		secret, err := h.ask()
		if err != nil {
			return 0, err
		}
		h.text = bytes.NewReader(secret.Reveal())
	}
	return h.text.Read(p)
}

// readPassword reads a line without echo and obeys Ctrl-C while it waits.
func (a *app) readPassword(ctx context.Context, prompt string) (connections.Secret, error) {
	if a.ReadPassword == nil {
		return connections.Secret{}, connections.ErrPassphraseNeeded
	}
	text, err := a.ReadPassword(ctx, func() { a.errorf("%s", prompt) })
	a.errorf("\n")
	return connections.NewSecret(text), err
}
