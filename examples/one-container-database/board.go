// Reads the notes that notes.py writes: hears of each from the database, counts its letters, and writes that down
// beside it. GET / shows what it read. `board check` asks both programs, for the health check.
package main

import (
	"database/sql"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/lib/pq"
)

const source = "dbname=notes user=board application_name=board"

// Reads every note that was not read yet.
const readNotes = `INSERT INTO readings SELECT id, length(text), 'board' FROM notes
	WHERE id NOT IN (SELECT note FROM readings) ON CONFLICT DO NOTHING`

func check() {
	for _, port := range []string{"8080", "8081"} {
		response, err := http.Get("http://127.0.0.1:" + port + "/")
		if err != nil || response.StatusCode != http.StatusOK {
			log.Fatalf("port %s: %v %v", port, response, err)
		}
	}
}

// The tables are made by notes.py, which may still be about to.
func waitForTables(db *sql.DB) error {
	for {
		var there bool
		if err := db.QueryRow("SELECT to_regclass('readings') IS NOT NULL").Scan(&there); there || err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("board: ")
	log.SetOutput(os.Stdout)
	if len(os.Args) > 1 && os.Args[1] == "check" {
		check()
		return
	}
	db, err := sql.Open("postgres", source)
	if err != nil {
		log.Fatal(err)
	}
	if err := waitForTables(db); err != nil {
		log.Fatal(err)
	}
	if _, err := db.Exec(readNotes); err != nil {
		log.Fatal(err)
	}
	listener := pq.NewListener(source, 100*time.Millisecond, time.Second, nil)
	if err := listener.Listen("notes"); err != nil {
		log.Fatal(err)
	}
	go func() {
		// A notification of nil means that the connection was made anew: something may have been missed.
		for range listener.Notify {
			if _, err := db.Exec(readNotes); err != nil {
				log.Print(err)
			}
		}
	}()
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		var notes, letters int
		row := db.QueryRow("SELECT count(*), coalesce(sum(letters), 0) FROM readings")
		if err := row.Scan(&notes, &letters); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "%d notes with %d letters\n", notes, letters)
	})
	socket, err := net.Listen("tcp", ":8081")
	if err != nil {
		log.Fatal(err)
	}
	log.Print("listening on port 8081")
	log.Fatal(http.Serve(socket, nil))
}
