//go:build integration

package integration

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// chromium is a headless browser with one page, driven over a pipe.
//
// Source: chromedevtools.github.io/devtools-protocol; messages on the pipe end
// with a NUL (chromium's content/public/common/content_switches.cc).
type chromium struct {
	t       *testing.T
	out     *os.File
	session string

	mu       sync.Mutex
	next     int
	waiting  map[int]chan message
	complain []string // what the page did wrong
	requests []string // what it asked for, once Network is enabled
}

type message struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// browse starts chromium; it ends with the case.
func (w world) browse(t *testing.T) *chromium {
	t.Helper()
	ours, in, err := os.Pipe() // chromium writes, we read
	if err != nil {
		t.Fatal(err)
	}
	theirs, out, err := os.Pipe() // and the other way round
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := w.command(ctx, "chromium", "--headless=new", "--no-sandbox", "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
		// The tenant's authority is made anew for each case.
		"--ignore-certificate-errors", "--window-size=1000,700", "--user-data-dir="+filepath.Join(w.dir(), "chromium"), "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{theirs, in} // descriptors 3 and 4
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	_, _ = theirs.Close(), in.Close()
	b := &chromium{t: t, out: out, waiting: map[int]chan message{}}
	read := make(chan struct{})
	go func() { defer close(read); b.read(bufio.NewReader(ours)) }()
	t.Cleanup(func() {
		_ = out.Close() // the polite end
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
		}
		cancel()
		<-ended
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // its helpers
		<-read
		_ = ours.Close()
		if t.Failed() {
			t.Logf("chromium said: %.2000s", said.String())
		}
	})
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Log", "Runtime"} {
		b.call(domain+".enable", nil, nil)
	}
	return b
}

// read hands answers to those who wait and keeps the browser's complaints.
func (b *chromium) read(r *bufio.Reader) {
	for {
		line, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(bytes.TrimSuffix(line, []byte{0}), &m) != nil {
			continue
		}
		b.mu.Lock()
		if to := b.waiting[m.ID]; to != nil && m.ID != 0 {
			to <- m
			delete(b.waiting, m.ID)
		}
		if m.Method == "Log.entryAdded" || m.Method == "Runtime.exceptionThrown" {
			b.complain = append(b.complain, string(m.Params))
		}
		if m.Method == "Network.requestWillBeSent" {
			var p struct{ Request struct{ URL string } }
			if json.Unmarshal(m.Params, &p) == nil && !strings.HasPrefix(p.Request.URL, "data:") {
				b.requests = append(b.requests, p.Request.URL)
			}
		}
		b.mu.Unlock()
	}
}

// asked are the addresses that the page asked for.
func (b *chromium) asked() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.requests...)
}

// size makes the window so many pixels wide.
func (b *chromium) size(width int) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": false}, nil)
}

// try sends a command and waits for its answer.
func (b *chromium) try(method string, params any, into any) error {
	answer := make(chan message, 1)
	b.mu.Lock()
	b.next++
	call := map[string]any{"id": b.next, "method": method}
	b.waiting[b.next] = answer
	b.mu.Unlock()
	if params != nil {
		call["params"] = params
	}
	if b.session != "" {
		call["sessionId"] = b.session
	}
	text, err := json.Marshal(call)
	if err != nil {
		return err
	}
	if _, err := b.out.Write(append(text, 0)); err != nil {
		return fmt.Errorf("chromium is gone: %w", err)
	}
	select {
	case m := <-answer:
		if m.Error != nil {
			return fmt.Errorf("%s: %s", method, m.Error.Message)
		}
		if into == nil {
			return nil
		}
		return json.Unmarshal(m.Result, into)
	case <-time.After(30 * time.Second):
		return fmt.Errorf("%s: chromium did not answer", method)
	}
}

func (b *chromium) call(method string, params any, into any) {
	b.t.Helper()
	if err := b.try(method, params, into); err != nil {
		b.t.Fatal(err)
	}
}

// run evaluates JavaScript that gives a string; "" while a page is on its way.
func (b *chromium) run(script string) string {
	var r struct {
		Result struct{ Value string }
	}
	if b.try("Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true}, &r) != nil {
		return "" // the page was just left
	}
	return r.Result.Value
}

// open goes to an address.
func (b *chromium) open(address string) {
	b.t.Helper()
	b.call("Page.navigate", map[string]any{"url": address}, nil)
}

// on waits for a page of the simulated sign-in, then fills and clicks.
func (b *chromium) on(step, script string) {
	b.t.Helper()
	eventually(b.t, "the page "+step, func() bool {
		return b.run(`document.readyState === "complete" && document.querySelector("main")?.dataset.step || ""`) == step
	})
	b.run(script + `; ""`)
}

// text waits until the page at an address that begins with start is there and
// returns what it says.
func (b *chromium) text(start string) (text string) {
	b.t.Helper()
	eventually(b.t, "a page at "+start, func() bool {
		text = b.run(`location.href.startsWith(` + fmt.Sprintf("%q", start) + `) && document.readyState === "complete" ? document.title + "\n" + document.body.innerText : ""`)
		return text != ""
	})
	return text
}

// shoot takes a picture of the page in one of the two colour schemes.
func (b *chromium) shoot(scheme, file string) []byte {
	b.t.Helper()
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	var shot struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil || !bytes.HasPrefix(png, []byte("\x89PNG")) {
		b.t.Fatalf("no picture: %v", err)
	}
	if err := os.WriteFile(file, png, 0o600); err != nil {
		b.t.Fatal(err)
	}
	return png
}

// complaints are those about pages at addresses that begin with start: broken
// policies and scripts, not the status of an answer.
func (b *chromium) complaints(start string) (out []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complain {
		if strings.Contains(c, start) && !strings.Contains(c, `"source":"network"`) {
			out = append(out, c)
		}
	}
	return out
}
