//go:build unix

package connections

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestCommandsDoNotInheritSecrets(t *testing.T) {
	t.Parallel()
	environ := func() []string {
		return []string{"PATH=" + os.Getenv("PATH"), "C2CONN_PASSPHRASE=hunter2", "C2CONN_CLIENT_SECRET=hunter2", "C2CONN_CERT_PASSWORD=hunter2",
			"c2conn_new_password=hunter2", "C2CONN_HOME=/home", "VAULT_SECRET=theirs", "ODD"}
	}
	s := testStore(t, func(o *Options) { o.Exec = runCommand(environ) })
	got, err := s.Secret(t.Context(), "exec:env")
	if err != nil {
		t.Fatal(err)
	}
	text := string(got.Reveal())
	if strings.Contains(text, "hunter2") || !strings.Contains(text, "C2CONN_HOME=/home") || !strings.Contains(text, "VAULT_SECRET=theirs") {
		t.Errorf("the command saw\n%s", text)
	}
}

// What a command started ends with it: the pipe is closed when nobody is left.
func TestACommandEndsWithItsChildren(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 2)
	go func() {
		f, err := os.Open(fifo) // waits for the child
		cancel()
		if err == nil {
			defer f.Close()
			_, err = io.Copy(io.Discard, f)
		}
		ended <- err
	}()
	s := testStore(t)
	if _, err := s.Secret(ctx, Ref("exec:sh -c 'sleep 60 >\"$0\" & wait' "+fifo)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-limit.C:
		t.Error("the child still runs")
	}
}
