// Command conformance holds recorded traffic against the official schemas: Graph
// requests and answers against Microsoft's OpenAPI (through the checker in
// ../shared), EWS messages against the EWS XSD (through xmllint). It prints counts
// and fails when one message is refused. `make conformance` records and runs it.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

func main() {
	if len(os.Args) < 4 {
		_, _ = fmt.Fprintln(os.Stderr, "usage: conformance SCHEMACHECK SCHEMAS LOG…")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Stdout, os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// record is a line of the simulated tenant's log.
type record struct {
	Name string          `json:"name"`
	M    string          `json:"m"`
	URL  string          `json:"url"`
	Body json.RawMessage `json:"body"`
	St   int             `json:"st"`
	Out  json.RawMessage `json:"out"`

	// What the token held: delegated scopes, or the roles of an application.
	Scopes []string `json:"scopes,omitempty"`
	Roles  []string `json:"roles,omitempty"`
}

func run(ctx context.Context, out io.Writer, checker, schemas string, logs []string) error {
	dir, err := os.MkdirTemp("", "c2conn-conformance")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var graph bytes.Buffer
	ews := 0
	n, err := loadNeeds(schemas)
	if err != nil {
		return err
	}
	permissions := &permissionCheck{needs: n, left: map[string]bool{}}
	for _, log := range logs {
		if err := split(log, dir, &graph, permissions, &ews); err != nil {
			return err
		}
	}
	return errors.Join(checkGraph(ctx, out, checker, schemas, &graph), checkPermissions(out, permissions), checkEWS(ctx, out, schemas, dir, ews))
}

func checkPermissions(out io.Writer, c *permissionCheck) error {
	_, _ = fmt.Fprintf(out, "Microsoft Graph, documented permissions: %d calls held one, %d did not, %d took a proof instead; %d kinds of call are not in the data\n", c.good, len(c.bad), c.proven, len(c.left))
	for call, u := range unlisted {
		if !c.left[call] {
			c.bad = append(c.bad, call+" ("+u.source+") was never made: the list of what the data leaves out is too long")
		}
	}
	if len(c.bad) > 0 || c.good == 0 {
		return fmt.Errorf("calls whose permission is not in order:\n%s", strings.Join(c.bad, "\n"))
	}
	return nil
}

// split sorts a log's messages by the schema that they must obey.
func split(path, dir string, graph *bytes.Buffer, permissions *permissionCheck, ews *int) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var r record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		switch {
		case strings.Contains(r.URL, "/v1.0/"):
			list, err := expand(r)
			if err != nil {
				return err
			}
			for _, part := range list {
				permissions.check(part)
				var ok bool
				if part, ok = normal(part); !ok {
					continue
				}
				line, err := json.Marshal(part)
				if err != nil {
					return err
				}
				graph.Write(append(line, '\n'))
			}
		case strings.HasSuffix(strings.ToLower(r.URL), "/ews/exchange.asmx"):
			for _, part := range []json.RawMessage{r.Body, r.Out} {
				var text string
				if json.Unmarshal(part, &text) != nil || !strings.Contains(text, "Envelope") {
					continue // a refusal without a SOAP body
				}
				*ews++
				name := filepath.Join(dir, fmt.Sprintf("%05d.xml", *ews))
				if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
					return err
				}
			}
		}
	}
	return lines.Err()
}

var counts = regexp.MustCompile(`requests (\d+)/(\d+) ok, responses (\d+)/(\d+) ok, no route (\d+)`)

func checkGraph(ctx context.Context, out io.Writer, checker, schemas string, traffic io.Reader) error {
	cmd := exec.CommandContext(ctx, checker, filepath.Join(schemas, "graph", "graph.openapi.json"))
	cmd.Stdin = traffic
	text, err := cmd.CombinedOutput()
	_, _ = fmt.Fprintf(out, "Microsoft Graph, official OpenAPI: %s", text)
	if err != nil {
		return fmt.Errorf("the Graph checker: %w", err)
	}
	m := counts.FindSubmatch(text)
	if m == nil {
		return errors.New("the Graph checker printed no counts")
	}
	var n [5]int
	for i := range n {
		if n[i], err = strconv.Atoi(string(m[i+1])); err != nil {
			return err
		}
	}
	if n[1] == 0 || n[0] != n[1] || n[2] != n[3] || n[4] != 0 {
		return errors.New("Graph messages were refused by the official schema, or none were recorded")
	}
	return nil
}

func checkEWS(ctx context.Context, out io.Writer, schemas, dir string, n int) error {
	if n == 0 {
		return errors.New("no EWS message was recorded")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.xml"))
	if err != nil {
		return err
	}
	args := append([]string{"--noout", "--nonet", "--schema", filepath.Join(schemas, "ews", "soap-ews.xsd")}, files...)
	text, err := exec.CommandContext(ctx, "xmllint", args...).CombinedOutput()
	good := strings.Count(string(text), " validates")
	_, _ = fmt.Fprintf(out, "Exchange Web Services, official XSD: messages %d/%d ok\n", good, n)
	if err != nil || good != n {
		return fmt.Errorf("EWS messages were refused by the official schema:\n%s", text)
	}
	return nil
}
