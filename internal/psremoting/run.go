package psremoting

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/c2conn/c2conn/internal/progress"
	"github.com/c2conn/c2conn/internal/transport"
)

// Limits of what one command puts out.
const (
	keptLimit   = 64 << 20
	recordLimit = 1000 // errors, and as many warnings
)

// LimitError says that a command put out more than is kept. Use Command.Take.
type LimitError struct{ Command string }

func (e *LimitError) Error() string { return e.Command + ": the output is larger than what is kept" }

// Run runs one command and waits for it to end. Where the error is not nil, Output
// has what came before it.
//
// A command may write error records and still complete, having done the rest of its
// work. Run returns the first of them as its error, so that none goes unnoticed; all
// are in Output.Errors.
//
// Errors: *CommandError; *NoCommandError and *LanguageError, which have one as their
// cause; *HostCallError, *StoppedError, *LimitError; *Error and what Open has besides;
// ErrGivenUp and ErrClosed. After an error that is no record of the command the session
// is given up: it can only be closed.
func (s *Session) Run(ctx context.Context, c Command) (Output, error) {
	if err := c.check(); err != nil {
		return Output{}, err
	}
	select {
	case <-s.turn:
		defer func() { s.turn <- struct{}{} }()
	case <-ctx.Done():
		return Output{}, ctx.Err()
	}
	if s.broken != nil {
		return Output{}, s.broken
	}
	p := &pipeline{s: s, c: c}
	var err error
	if p.id, err = newGUID(s.o.Rand); err != nil {
		return Output{}, err
	}
	limited, cancel := context.WithTimeout(ctx, s.o.Limit)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	if err := p.run(limited); err != nil {
		s.broken = fmt.Errorf("%w: %w", ErrGivenUp, err)
		return p.out, err
	}
	return p.out, p.verdict()
}

// pipeline is a command that is running.
type pipeline struct {
	s       *Session
	c       Command
	id      guid
	started bool
	out     Output
	kept    int
	state   int64         // with which it ended
	failure *CommandError // with which it failed
}

// States in which a pipeline ends. Source: MS-PSRP 2.2.3.5.
const (
	stateStopped   = 3
	stateCompleted = 4
	stateFailed    = 5
)

// verdict tells how the command went.
func (p *pipeline) verdict() error {
	switch {
	case p.failure != nil:
		return p.failure.classify()
	case len(p.out.Errors) > 0:
		return p.out.Errors[0].classify()
	case p.state != stateCompleted:
		return &StoppedError{p.c.Name, map[int64]string{stateStopped: "Stopped", stateFailed: "Failed"}[p.state]}
	}
	return nil
}

// run starts the command and takes what it puts out, until it has ended.
func (p *pipeline) run(ctx context.Context) error {
	err := p.start(ctx)
	if err == nil {
		err = p.s.receive(ctx, p.id, p.c.Name, p.take)
	}
	if !p.started {
		return err
	}
	// A command that has ended counts against the quota of its shell until the client
	// says that it has everything (MS-WSMV 2.2.4.38; jborean93/pypsrp#148 ran into it);
	// one that has not ended is stopped. Its result stands, whatever becomes of this.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.s.o.CloseLimit)
	defer cancel()
	if err != nil {
		_ = p.s.e.signal(ctx, p.id, signalStop)
		return err
	}
	_ = p.s.e.signal(ctx, p.id, signalTerminate)
	return nil
}

// start sends the command, in as many pieces as it takes.
func (p *pipeline) start(ctx context.Context) error {
	for i, f := range p.s.fragments(msgCreatePipeline, p.id, createPipeline(p.c)) {
		var err error
		if i == 0 {
			err = p.s.e.command(ctx, p.id, f)
			p.started = err == nil || uncertain(err)
		} else {
			err = p.s.e.send(ctx, p.id, f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// take handles one message of the pipeline.
func (p *pipeline) take(m message) (ended bool, err error) {
	switch m.kind {
	case msgPipelineOutput:
		return false, p.object(m.data)
	case msgErrorRecord:
		o, err := parseCLIXML(m.data)
		if err != nil {
			return false, err
		}
		if len(p.out.Errors) >= recordLimit {
			return false, &LimitError{p.c.Name}
		}
		p.out.Errors = append(p.out.Errors, commandError(p.c.Name, o))
	case msgWarningRecord:
		o, err := parseCLIXML(m.data)
		if err != nil {
			return false, err
		}
		text, _ := o.Get("InformationalRecord_Message")
		if s := transport.CleanText(text.Text, textLimit); s != "" && len(p.out.Warnings) < recordLimit {
			p.out.Warnings = append(p.out.Warnings, s)
		}
	case msgPipelineState:
		return p.ended(m.data)
	case msgPipelineHostCall, msgPoolHostCall:
		return false, refuseHostCall(p.c.Name, m.data)
	case msgPublicKeyRequest:
		return false, errMessage // secure strings are not for us
	}
	return false, nil // verbose, debug, progress, information
}

func (p *pipeline) object(data []byte) error {
	o, err := parseCLIXML(data)
	if err != nil {
		return err
	}
	if p.c.Take != nil {
		return p.c.Take(o)
	}
	if p.kept += len(data) + 256; p.kept > p.s.o.Keep {
		return &LimitError{p.c.Name}
	}
	p.out.Objects = append(p.out.Objects, o)
	return nil
}

// ended reads the state of the pipeline. Source: MS-PSRP 2.2.2.21.
func (p *pipeline) ended(data []byte) (bool, error) {
	o, err := parseCLIXML(data)
	if err != nil {
		return false, err
	}
	state, _ := o.Get("PipelineState")
	n, ok := state.Int()
	if !ok {
		return false, errMessage
	}
	if n < stateStopped || n > stateFailed {
		return false, nil // NotStarted, Running, Stopping, Disconnected
	}
	p.state = n
	if record, ok := o.Get("ExceptionAsErrorRecord"); ok && !record.IsNull() {
		p.failure = commandError(p.c.Name, record)
	}
	return true, nil
}

// receive hands messages of a pipeline, or of the pool (zero), to take, until that
// says that the last has come.
func (s *Session) receive(ctx context.Context, pipeline guid, command string, take func(message) (bool, error)) error {
	op := &Error{Op: "Receive"}
	var j joiner
	for polls := 0; ; {
		asked := s.o.Clock.Now()
		a, idle, err := s.e.receive(ctx, pipeline)
		if err != nil {
			return err
		}
		for _, b := range a.streams {
			messages, err := j.add(b)
			if err != nil {
				op.Err = err
				return op
			}
			for _, raw := range messages {
				m, err := decodeMessage(raw)
				if err == nil && (m.pipeline != pipeline && m.pipeline != guid{}) {
					err = errMessage
				}
				ended := false
				if err == nil {
					ended, err = take(m)
				}
				if isProtocol(err) {
					op.Err = err
					return op
				}
				if err != nil || ended {
					return err
				}
			}
		}
		if a.done {
			op.Err = errNoState
			return op
		}
		if !idle {
			polls = 0
			continue
		}
		polls++
		s.waiting(ctx, command, polls)
		// A server that answers at once that it has nothing is not asked a thousand times a second.
		if s.o.Clock.Now().Sub(asked) < s.o.Poll/2 {
			if err := s.o.Clock.Sleep(ctx, min(50*time.Millisecond<<min(polls-1, 6), 2*time.Second)); err != nil {
				return err
			}
		}
	}
}

// waiting tells whoever listens that nothing has come yet.
func (s *Session) waiting(ctx context.Context, command string, polls int) {
	text := "The server is still opening the remote PowerShell session."
	if command != "" {
		text = command + " is still running on the server."
	}
	until, _ := ctx.Deadline()
	progress.Report(ctx, progress.Update{Text: text, Attempt: polls, Until: until})
}

// isProtocol reports whether an error is about the form of an answer.
func isProtocol(err error) bool {
	for _, e := range []error{errMessage, errCLIXML, errTooBig, errTooDeep, errDoctype, errFragment} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
