package psrp

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/c2conn/c2conn/internal/sim/onprem/org"
)

// maxCommands bounds the commands of a shell that were not signalled to end.
const maxCommands = 100

// command is a command of a shell: a pipeline. Server.mu guards it.
type command struct {
	sh       *shell
	id       string
	pipeline org.GUID
	input    defragmenter
	output   stream
	started  bool
	ctx      context.Context
	cancel   context.CancelFunc
}

// command starts a pipeline ([MS-PSRP] 3.2.5.3.3): its CREATE_PIPELINE message
// is in the argument, or begins there.
func (s *Server) command(q *request) (string, *wsmanFault) {
	line := q.body
	if !line.is(nsShell, "CommandLine") {
		return "", schemaError("CommandLine")
	}
	id := strings.ToUpper(line.attr("CommandId"))
	if id == "" {
		id = strings.ToUpper(s.newID().String())
	}
	if _, err := parseGUID(id); err != nil {
		return "", schemaError("CommandId")
	}
	name, args := line.child(nsShell, "Command"), line.child(nsShell, "Arguments")
	if name == nil || strings.TrimSpace(name.text) != "" {
		return "", schemaError("Command")
	}
	if args == nil {
		return "", schemaError("Arguments")
	}
	data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(args.text))
	if err != nil || len(data) == 0 {
		return "", schemaError("Arguments")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sh, fault := s.find(q)
	switch {
	case fault != nil:
		return "", fault
	case sh.state != poolOpened:
		return "", protocolError(errors.New("the runspace pool is not open"))
	case sh.commands[id] != nil:
		return "", alreadyExists()
	case len(sh.commands) >= maxCommands:
		return "", quotaFull(maxCommands)
	}
	c := &command{sh: sh, id: id}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	if err := c.take(data); err != nil {
		c.cancel()
		return "", protocolError(err)
	}
	sh.commands[id] = c
	return `<rsp:CommandResponse><rsp:CommandId>` + id + `</rsp:CommandId></rsp:CommandResponse>`, nil
}

// take reads fragments of the command's input. Server.mu is held.
func (c *command) take(data []byte) error {
	messages, err := c.input.add(data)
	if err != nil {
		return err
	}
	for _, m := range messages {
		// The pipeline's id is the one that its first message names. Windows does
		// not mind that some clients write it in another order than CommandId.
		if c.pipeline == (org.GUID{}) {
			c.pipeline = m.pipeline
		}
		if m.pool != c.sh.pool || m.pipeline != c.pipeline || m.pipeline == (org.GUID{}) {
			return errors.New("message of another pool or pipeline")
		}
		switch {
		case m.kind == createPipeline && !c.started:
			p, err := parsePipeline(m.data)
			if err != nil {
				return err
			}
			c.started = true
			c.sh.s.start(c, p)
		case m.kind == endOfPipelineInput && c.started:
		case m.kind == pipelineInput:
			return errors.New("no cmdlet here takes input from the pipeline")
		default:
			return fmt.Errorf("message %#08x to a pipeline", uint32(m.kind))
		}
	}
	return nil
}

// send takes input for the pool or for a command.
func (s *Server) send(q *request) (string, *wsmanFault) {
	if !q.body.is(nsShell, "Send") {
		return "", schemaError("Send")
	}
	st := q.body.child(nsShell, "Stream")
	if st == nil || len(q.body.children) != 1 {
		return "", schemaError("Stream")
	}
	if n := st.attr("Name"); n != "stdin" && n != "pr" {
		return "", schemaError("Stream")
	}
	data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(st.text))
	if err != nil || len(data) == 0 {
		return "", schemaError("Stream")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sh, fault := s.find(q)
	if fault != nil {
		return "", fault
	}
	if id := st.attr("CommandId"); id != "" {
		c := sh.commands[strings.ToUpper(id)]
		if c == nil {
			return "", commandNotFound()
		}
		err = c.take(data)
	} else {
		var messages []message
		messages, err = sh.input.add(data)
		for _, m := range messages {
			if err == nil {
				err = sh.poolMessage(m)
			}
		}
	}
	if err != nil {
		return "", protocolError(err)
	}
	return `<rsp:SendResponse/>`, nil
}

// receive is the long poll for output ([MS-WSMV] 3.1.4.13). Windows gives the
// messages of the pool one an answer.
func (s *Server) receive(q *request) (string, *wsmanFault) {
	if !q.body.is(nsShell, "Receive") {
		return "", schemaError("Receive")
	}
	want := q.body.child(nsShell, "DesiredStream")
	if want == nil || len(q.body.children) != 1 || strings.TrimSpace(want.text) != "stdout" {
		return "", schemaError("DesiredStream")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sh, fault := s.find(q)
	if fault != nil {
		return "", fault
	}
	id := strings.ToUpper(want.attr("CommandId"))
	if id == "" {
		list, _, fault := s.poll(q, sh, &sh.output, true)
		if fault != nil {
			return "", fault
		}
		return received(list, "", ""), nil
	}
	c := sh.commands[id]
	if c == nil {
		return "", commandNotFound()
	}
	if s.faultLocked("dies") != nil { // the application pool is recycled
		sh.end(shellNotFound(sh.id))
		delete(s.shells, sh.id)
		return "", shellNotFound(sh.id)
	}
	if s.faultLocked("drop") != nil {
		panic(http.ErrAbortHandler) // the connection ends without an answer
	}
	list, done, fault := s.poll(q, sh, &c.output, false)
	if fault != nil {
		return "", fault
	}
	state := ""
	if done {
		state = `<rsp:CommandState CommandId="` + c.id + `" State="` + nsShell + `/CommandState/Done"><rsp:ExitCode>0</rsp:ExitCode></rsp:CommandState>`
	}
	return received(list, ` CommandId="`+c.id+`"`, state), nil
}

func received(list [][]byte, command, state string) string {
	var b strings.Builder
	b.WriteString("<rsp:ReceiveResponse>")
	for _, f := range list {
		b.WriteString(`<rsp:Stream Name="stdout"` + command + `>` + base64.StdEncoding.EncodeToString(f) + `</rsp:Stream>`)
	}
	b.WriteString(state + "</rsp:ReceiveResponse>")
	return b.String()
}

// signal stops a pipeline (crtl_c, sic) or ends a command (terminate).
func (s *Server) signal(q *request) (string, *wsmanFault) {
	if !q.body.is(nsShell, "Signal") {
		return "", schemaError("Signal")
	}
	code := q.body.child(nsShell, "Code")
	if code == nil {
		return "", schemaError("Code")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sh, fault := s.find(q)
	if fault != nil {
		return "", fault
	}
	c := sh.commands[strings.ToUpper(q.body.attr("CommandId"))]
	if c == nil {
		return "", commandNotFound()
	}
	switch strings.TrimSpace(code.text) {
	case "powershell/signal/crtl_c", nsShell + "/signal/ctrl_c":
		c.cancel() // the pipeline reports that it was stopped
		if !c.started {
			c.output.finish()
		}
	case nsShell + "/signal/Terminate", nsShell + "/signal/terminate": // [MS-WSMV] 2.2.4.38; small by widespread clients
		c.cancel()
		c.output.fail(aborted())
		delete(sh.commands, c.id)
	default:
		return "", &wsmanFault{
			subcode: "w:InvalidParameter", code: 2150858810,
			reason: "The WS-Management service cannot process the request because a parameter for the operation is not valid. ",
		}
	}
	return `<rsp:SignalResponse/>`, nil
}
