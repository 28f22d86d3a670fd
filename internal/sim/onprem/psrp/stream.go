package psrp

import "time"

// stream is the output of a shell or a command until the client asks for it.
// Server.mu guards it.
type stream struct {
	queue [][]byte // fragments
	done  bool     // nothing more comes
	told  bool     // the client knows that it is done
	bad   *wsmanFault
	busy  bool          // a poll waits
	wake  chan struct{} // closed on every change
}

func (st *stream) changed() {
	if st.wake != nil {
		close(st.wake)
		st.wake = nil
	}
}

func (st *stream) push(fragments ...[]byte) {
	if st.done || st.bad != nil {
		return
	}
	st.queue = append(st.queue, fragments...)
	st.changed()
}

func (st *stream) finish() {
	st.done = true
	st.changed()
}

// fail ends the stream once it is read to its end.
func (st *stream) fail(f *wsmanFault) {
	if st.bad == nil {
		st.bad = f
	}
	st.changed()
}

// take gives the fragments that fit into an answer: at least one, if there is any.
func (st *stream) take(room int, single bool) (list [][]byte) {
	for len(st.queue) > 0 {
		size := (len(st.queue[0])+2)/3*4 + 128 // base64 in its element
		if len(list) > 0 && (single || size > room) {
			break
		}
		room -= size
		list = append(list, st.queue[0])
		st.queue = st.queue[1:]
	}
	return list
}

// poll waits until the stream has something for the client: fragments, its end
// (done) or a fault. Server.mu is held, and let go while it waits.
func (s *Server) poll(q *request, sh *shell, st *stream, single bool) (list [][]byte, done bool, fault *wsmanFault) {
	if st.busy {
		return nil, false, concurrency()
	}
	st.busy = true
	sh.polls++
	defer func() {
		st.busy = false
		sh.polls--
		sh.used = s.o.Now()
	}()
	fired, stop := s.o.After(q.timeout)
	defer stop()
	for {
		if list = st.take(q.envelope-2048, single); len(list) > 0 {
			if done = st.done && len(st.queue) == 0; done {
				st.told = true
			}
			return list, done, nil
		}
		switch {
		case st.bad != nil:
			return nil, false, st.bad
		case st.told:
			return nil, false, commandNotFound()
		case st.done:
			st.told = true
			return nil, true, nil
		}
		if st.wake == nil {
			st.wake = make(chan struct{})
		}
		wake := st.wake
		s.mu.Unlock()
		timeout := false
		select {
		case <-wake:
		case <-fired:
			timeout = true
		case <-q.http.Context().Done():
			timeout = true // nobody reads the answer
		}
		s.mu.Lock()
		if timeout && len(st.queue) == 0 && !st.done && st.bad == nil {
			return nil, false, timedOut()
		}
	}
}

// pause waits; it is false when the context ended before.
func (s *Server) pause(done <-chan struct{}, d time.Duration) bool {
	fired, stop := s.o.After(d)
	defer stop()
	select {
	case <-fired:
		return true
	case <-done:
		return false
	}
}
