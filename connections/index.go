package connections

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"time"
	"unsafe"
)

// The index spares List the parsing of YAML. It is derived from the files and
// may be lost at any time: each record counts only while the file that it
// describes still has the same size, time and inode. Records are appended; the
// last one of a file wins. It holds nothing that the files do not hold.
//
// Form: the header, then records of: length of the body (uint32, little
// endian), CRC-32 (IEEE) of the body, body. A body is: file name, size, time, inode
// (varints), then the fields of the connection in their order, texts with a
// length before them.
const (
	indexName   = ".index"
	indexHeader = "c2conn index 8\n" // another one is not read; the next List writes the index anew
	indexLimit  = 256 << 20          // bytes; a larger one is ignored
	recordLimit = 4 << 20
	recordSize  = 640 // of a usual record, for making room
)

// A file that was written this shortly before its record could be written
// again without its time changing, as file systems count in ticks.
const tick = 50 * time.Millisecond

// index is the content of the index file, as far as it could be read.
type index struct {
	records map[string]record
	dead    int  // records that no longer count
	sound   bool // false: missing, damaged or of another form
}

type record struct {
	stamp stamp
	body  string // the fields of the connection
}

// readIndex reads the index; whatever is wrong with it, the answer is an index
// that knows less.
func (s *Store) readIndex() index {
	idx := index{}
	path := filepath.Join(s.connections, indexName)
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return idx
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() > indexLimit || s.disk.private(path, factsOf(info), 0o077) != nil {
		return idx
	}
	data := make([]byte, info.Size())
	n, err := f.ReadAt(data, 0)
	if err != nil && n != len(data) {
		return idx
	}
	return parseIndex(data)
}

func parseIndex(data []byte) index {
	idx := index{}
	if len(data) < len(indexHeader) || string(data[:len(indexHeader)]) != indexHeader {
		return idx
	}
	data = data[len(indexHeader):]
	if len(data) == 0 {
		idx.sound = true
		return idx
	}
	idx.records = make(map[string]record, len(data)/recordSize)
	// The fields share the memory of data, which nobody writes to any more.
	text := unsafe.String(&data[0], len(data)) //nolint:gosec // a copy would cost a quarter of the time
	for at := 0; at < len(data); {
		if len(data)-at < 8 {
			return idx
		}
		length := int(binary.LittleEndian.Uint32(data[at:]))
		sum := binary.LittleEndian.Uint32(data[at+4:])
		at += 8
		if length > recordLimit || length > len(data)-at || crc32.ChecksumIEEE(data[at:at+length]) != sum {
			return idx
		}
		r := reader{rest: text[at : at+length]}
		at += length
		file := r.text()
		st := stamp{size: r.varint(), mtime: r.varint(), inode: r.uvarint()}
		if r.bad {
			return idx
		}
		if _, again := idx.records[file]; again {
			idx.dead++
		}
		idx.records[file] = record{stamp: st, body: r.rest}
	}
	idx.sound = true
	return idx
}

// lookup fills in c from the record of a file, if that is of this very version.
func (idx index) lookup(file string, st stamp, c *Connection) bool {
	rec, ok := idx.records[file]
	return ok && rec.stamp == st && decodeConnection(rec.body, c)
}

// noteInIndex records a file that was just written. Its failure is of no
// consequence: List will read the file instead.
func (s *Store) noteInIndex(file string, info fs.FileInfo, c Connection) {
	s.appendIndex(appendRecord(nil, file, stampOf(info), c))
}

func (s *Store) appendIndex(records []byte) {
	path := filepath.Join(s.connections, indexName)
	if info, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		records = append([]byte(indexHeader), records...)
	} else if err != nil || !info.Mode().IsRegular() {
		return
	}
	_ = s.disk.append(path, records)
}

// refreshIndex makes the index know what List had to parse. It does nothing
// where another process writes or the directory is read-only.
func (s *Store) refreshIndex(idx index, files []found, stale []int, entries []Entry, locked bool) {
	fresh := 0
	for _, i := range stale {
		if entries[i].Err == nil {
			fresh++
		}
	}
	live := len(files) - len(stale) + fresh
	dead := idx.dead + len(idx.records) + fresh - live
	rewrite := !idx.sound && fresh > 0 || dead > live+64
	if fresh == 0 && !rewrite {
		return
	}
	if !locked {
		unlock, ok := s.tryLock(s.connections)
		if !ok {
			return
		}
		defer unlock()
	}
	if rewrite {
		s.rewriteIndex(files, entries)
		return
	}
	now, ok := s.fileTime()
	if !ok {
		return
	}
	var records []byte
	for _, i := range stale {
		if entries[i].Err == nil && settled(files[i].stamp, now) {
			records = appendRecord(records, files[i].name, files[i].stamp, entries[i].Connection)
		}
	}
	if len(records) > 0 {
		s.appendIndex(records)
	}
}

// settled tells whether a change after now would show in the file's time.
func settled(st stamp, now time.Time) bool { return st.mtime < now.Add(-tick).UnixNano() }

// fileTime asks the file system for its own clock, which may not be ours.
func (s *Store) fileTime() (time.Time, bool) {
	// A store that was filled by hand has no directory for temporary files yet.
	if err := os.Mkdir(s.temps, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return time.Time{}, false
	}
	path := filepath.Join(s.temps, s.disk.temp())
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return time.Time{}, false
	}
	info, err := f.Stat()
	_ = f.Close()
	_ = os.Remove(path)
	if err != nil {
		return time.Time{}, false
	}
	return info.ModTime(), true
}

func (s *Store) rewriteIndex(files []found, entries []Entry) {
	now, ok := s.fileTime()
	if !ok {
		return
	}
	data := make([]byte, 0, len(indexHeader)+len(files)*recordSize)
	data = append(data, indexHeader...)
	for i := range files {
		if entries[i].Err == nil && settled(files[i].stamp, now) {
			data = appendRecord(data, files[i].name, files[i].stamp, entries[i].Connection)
		}
	}
	// No fsync: after a crash the sums tell what is whole.
	tmp := filepath.Join(s.temps, s.disk.temp())
	if err := os.WriteFile(tmp, data, fileMode); err == nil {
		err = os.Rename(tmp, filepath.Join(s.connections, indexName))
		if err == nil {
			return
		}
	}
	_ = os.Remove(tmp)
}

func appendRecord(b []byte, file string, st stamp, c Connection) []byte {
	start := len(b)
	b = append(b, make([]byte, 8)...)
	b = appendText(b, file)
	b = binary.AppendVarint(b, st.size)
	b = binary.AppendVarint(b, st.mtime)
	b = binary.AppendUvarint(b, st.inode)
	b = appendConnection(b, c)
	body := b[start+8:]
	binary.LittleEndian.PutUint32(b[start:], uint32(len(body))) //nolint:gosec // a file is at most 1 MiB
	binary.LittleEndian.PutUint32(b[start+4:], crc32.ChecksumIEEE(body))
	return b
}
