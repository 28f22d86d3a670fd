package browser

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const page = "https://login.example/authorize?a=1&b=%20c"

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestLikely(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		goos string
		env  []string
		want bool
	}{
		{"desktop", "linux", []string{"DISPLAY", ":0"}, true},
		{"Wayland", "linux", []string{"WAYLAND_DISPLAY", "wayland-0"}, true},
		{"console", "linux", nil, false},
		{"WSL", "linux", []string{"WSL_DISTRO_NAME", "Debian"}, true},
		{"BSD console", "freebsd", nil, false},
		{"SSH", "linux", []string{"SSH_TTY", "/dev/pts/1"}, false},
		{"SSH with a forwarded display", "linux", []string{"SSH_TTY", "/dev/pts/1", "DISPLAY", "localhost:10.0"}, false},
		{"SSH to a Mac", "darwin", []string{"SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22"}, false},
		{"Mac", "darwin", nil, true},
		{"Windows", "windows", nil, true},
		{"SSH to Windows", "windows", []string{"SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := Likely(env(c.env...), c.goos); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// machine has programs, some of which fail, and notes what was run.
type machine struct {
	has, fails []string
	mu         sync.Mutex
	ran        []string
}

func (m *machine) options(goos string, getenv func(string) string) Options {
	return Options{
		Getenv: getenv, GOOS: goos,
		LookPath: func(name string) (string, error) {
			if !slices.Contains(m.has, name) {
				return "", errors.New("not found")
			}
			if strings.Contains(name, "/") {
				return name, nil
			}
			return "/bin/" + name, nil
		},
		Run: func(path string, args ...string) error {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.ran = append(m.ran, path+" "+strings.Join(args, " "))
			if slices.Contains(m.fails, filepath.Base(path)) {
				return errors.New("exit status 3")
			}
			return nil
		},
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, goos string
		browser    string
		wsl        bool
		has, fails []string
		ran        []string
		err        string
	}{
		{name: "Linux", goos: "linux", has: []string{"xdg-open", "x-www-browser"}, ran: []string{"/bin/xdg-open " + page}},
		{name: "no desktop tools", goos: "linux", has: []string{"x-www-browser"}, ran: []string{"/bin/x-www-browser " + page}},
		{name: "nothing", goos: "linux", err: ErrNone.Error()},
		{name: "the next one where the first fails", goos: "linux", has: []string{"xdg-open", "x-www-browser"}, fails: []string{"xdg-open"}, ran: []string{"/bin/xdg-open " + page, "/bin/x-www-browser " + page}},
		{name: "all fail", goos: "linux", has: []string{"xdg-open"}, fails: []string{"xdg-open"}, ran: []string{"/bin/xdg-open " + page}, err: "xdg-open did not open the web browser: exit status 3"},
		{name: "WSL", goos: "linux", wsl: true, has: []string{"wslview", "xdg-open"}, ran: []string{"/bin/wslview " + page}},
		{name: "WSL without wslu", goos: "linux", wsl: true, has: []string{"xdg-open"}, ran: []string{"/bin/xdg-open " + page}},
		{name: "Mac", goos: "darwin", has: []string{"open"}, ran: []string{"/bin/open " + page}},
		{name: "Windows", goos: "windows", has: []string{"rundll32.exe"}, ran: []string{"/bin/rundll32.exe url.dll,FileProtocolHandler " + page}},
		{name: "BROWSER", goos: "linux", browser: "firefox", has: []string{"firefox", "xdg-open"}, ran: []string{"/bin/firefox " + page}},
		{name: "BROWSER with a place", goos: "linux", browser: "chrome --app=%s --incognito", has: []string{"chrome"}, ran: []string{"/bin/chrome --app=" + page + " --incognito"}},
		{name: "BROWSER with an argument", goos: "linux", browser: "firefox --private-window", has: []string{"firefox"}, ran: []string{"/bin/firefox --private-window " + page}},
		{name: "BROWSER as a list", goos: "linux", browser: "none %s::firefox:xdg-open", has: []string{"firefox"}, ran: []string{"/bin/firefox " + page}},
		{name: "BROWSER in a folder with a space", goos: "linux", browser: "/opt/my browser/go", has: []string{"/opt/my browser/go"}, ran: []string{"/opt/my browser/go " + page}},
		{name: "BROWSER that does not exist", goos: "linux", browser: "gone", has: []string{"xdg-open"}, ran: []string{"/bin/xdg-open " + page}},
		{name: "BROWSER of spaces", goos: "linux", browser: "  :  ", has: []string{"xdg-open"}, ran: []string{"/bin/xdg-open " + page}},
		{name: "BROWSER on Windows", goos: "windows", browser: `C:\b\f.exe`, has: []string{`C:\b\f.exe`}, ran: []string{`/bin/C:\b\f.exe ` + page}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := &machine{has: c.has, fails: c.fails}
			wsl := ""
			if c.wsl {
				wsl = "Debian"
			}
			err := Open(t.Context(), m.options(c.goos, env("BROWSER", c.browser, "WSL_DISTRO_NAME", wsl)), page)
			if (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if !slices.Equal(m.ran, c.ran) {
				t.Errorf("ran %q\nwant %q", m.ran, c.ran)
			}
		})
	}
}

func TestOnlyWebPages(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"", "file:///etc/passwd", "javascript:alert(1)", "ftp://host/x", "mailto:a@b", "//host/x", "https://", "-version",
		"https://host/a b", "https://host/\"&calc&\"", "https://host/`id`", "https://host/\n-x", "https://host/ü", "https://user:pw@host/", "https://host/|x", "https://host/'x",
	} {
		m := &machine{has: []string{"xdg-open"}}
		if err := Open(t.Context(), m.options("linux", env()), address); !errors.Is(err, ErrAddress) || m.ran != nil {
			t.Errorf("%q: %v, ran %q", address, err, m.ran)
		}
	}
	m := &machine{has: []string{"xdg-open"}}
	if err := Open(t.Context(), m.options("linux", env()), "http://localhost:1234/"); err != nil {
		t.Error(err)
	}
}

func TestAProgramThatGoesOnBlocksNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &machine{has: []string{"xdg-open", "x-www-browser"}}
		o := m.options("linux", env())
		hang := make(chan struct{})
		defer close(hang)
		var runs atomic.Int32
		o.Run = func(string, ...string) error { runs.Add(1); <-hang; return nil }
		began := time.Now()
		if err := Open(t.Context(), o, page); err != nil || time.Since(began) != patience || runs.Load() != 1 {
			t.Errorf("%v after %v, %d programs ran", err, time.Since(began), runs.Load())
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began = time.Now()
		if err := Open(ctx, o, page); !errors.Is(err, context.Canceled) || time.Since(began) != time.Second {
			t.Errorf("Ctrl-C: %v after %v", err, time.Since(began))
		}
	})
}

// TestRealProgram lets a real program run that writes to all it can reach.
func TestRealProgram(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the program is a shell script")
	}
	dir := t.TempDir()
	script := filepath.Join(dir, "my browser")
	text := "#!/bin/sh\necho noise; echo noise >&2\n(echo noise >/dev/tty) 2>/dev/null && tty=yes\nread line\nprintf '%s|%s|%s' \"$1\" \"$tty\" \"$line\" >\"$0.out\"\n[ \"$1\" != http://fail/ ]\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := run(script, page); err != nil {
		t.Fatal(err)
	}
	out, err := os.ReadFile(script + ".out")
	if err != nil || string(out) != page+"||" {
		t.Errorf("the program got %q %v", out, err)
	}
	if err := run(script, "http://fail/"); err == nil {
		t.Error("a failure went unnoticed")
	}
}
