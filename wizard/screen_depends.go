package wizard

// again sets an answer anew, without what was looked up for it.
func again(s *Session, key string) {
	v, ok := s.Answers[key]
	if !ok || v.Resolved == "" && v.Err == nil {
		return
	}
	v.Resolved, v.Note, v.Err = "", "", nil
	s.Answers[key] = v
	if !v.Secret.IsZero() {
		_ = s.SetSecret(key, v.Secret, v.Origin, v.From)
	} else {
		_ = s.Set(key, v.Text, v.Origin, v.From)
	}
}
