//! The parent: runs each store in processes of their own, checks what they
//! answer, and keeps what they measured.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::arguments::Arguments;
use crate::question::{Answer, in_q3};
use crate::stores::Contender;
use crate::workload::{self, Reading};
use crate::{report, truth};

pub fn run(arguments: &Arguments) -> Outcome {
    fs::create_dir_all(&arguments.work)?;
    let parent = Parent { arguments };
    for phase in &arguments.phases {
        match phase.as_str() {
            "prepare" => parent.prepare()?,
            "ingest" => parent.ingest()?,
            "bulk" => parent.bulk()?,
            "query" => parent.query()?,
            "kill" => parent.kill()?,
            _ => report::print(arguments)?,
        }
    }
    Ok(())
}

struct Parent<'a> {
    arguments: &'a Arguments,
}

impl Parent<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.arguments.work.join(name)
    }

    /// Generates W1, works out the answers, forgets older figures.
    fn prepare(&self) -> Outcome {
        let _ = fs::remove_file(self.path("results"));
        let grid = workload::generate(&self.arguments.work, self.arguments.scale)?;
        let mut lines = String::new();
        for contender in Contender::ALL {
            let series = contender.series(grid.series);
            let mut cells = 0;
            (0..series).for_each(|series| cells += grid.of(series).count());
            lines += &format!("{} cells {cells}\n", contender.name());
            for (question, answer) in truth::answers(&grid, series) {
                lines += &format!("{} {question} {answer}\n", contender.name());
            }
            lines += &format!("{} busy {}\n", contender.name(), self.busy(series)?);
        }
        fs::write(self.path("truth"), lines)?;
        Ok(())
    }

    /// What the busy minutes add to Q3.
    fn busy(&self, series: u32) -> Outcome<Answer> {
        let mut reading = Reading::open(&self.path("busy"))?;
        let (mut deltas, mut answer) = (Vec::new(), Answer::default());
        while reading.next(&mut deltas)? {
            for delta in &deltas {
                if delta.series < series && in_q3(delta.series) {
                    answer.total(delta.value);
                }
            }
        }
        Ok(answer)
    }

    fn truth(&self, contender: Contender) -> Outcome<BTreeMap<String, String>> {
        let text = fs::read_to_string(self.path("truth"))?;
        let own = text.lines().filter_map(|line| {
            let mut words = line.split(' ');
            (words.next()? == contender.name()).then_some(())?;
            Some((words.next()?.to_owned(), words.next()?.to_owned()))
        });
        Ok(own.collect())
    }

    fn contenders(&self, does: fn(Contender) -> bool) -> impl Iterator<Item = Contender> {
        let all = self.arguments.contenders.iter().copied();
        all.filter(move |contender| does(*contender))
    }

    fn command(&self, contender: Contender, child: &str, directory: &Path) -> Outcome<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--child", child, "--stores", contender.name()]);
        command.args(["--scale", &self.arguments.scale.to_string()]);
        command.arg("--work").arg(&self.arguments.work);
        command.arg("--directory").arg(directory);
        if let Some(library) = &self.arguments.duckdb {
            command.arg("--duckdb").arg(library);
        }
        Ok(command)
    }

    /// Runs a child and keeps what it tells. A child that fails is told and
    /// left out of the table: one store's trouble must not hide the others.
    fn child(
        &self,
        contender: Contender,
        child: &str,
        directory: &Path,
    ) -> Outcome<BTreeMap<String, String>> {
        let mut command = self.command(contender, child, directory)?;
        let output = command.stderr(Stdio::inherit()).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            println!(
                "{} {child}: {}, its figures are left out",
                contender.name(),
                output.status
            );
            return Ok(BTreeMap::new());
        }
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        let told: BTreeMap<_, _> = lines
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let mut results = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.path("results"))?;
        for (key, value) in &told {
            writeln!(results, "{child} {} {key} {value}", contender.name())?;
        }
        println!("{} {child}: {told:?}", contender.name());
        Ok(told)
    }

    /// Fails where an answer is not the one worked out.
    fn check(
        &self,
        contender: Contender,
        told: &BTreeMap<String, String>,
        expected: &[(&str, String)],
    ) -> Outcome {
        for (question, right) in expected {
            if let Some(answer) = told.get(*question)
                && answer != right
            {
                let name = contender.name();
                return Err(format!("{name}, {question}: {answer} is not {right}").into());
            }
        }
        Ok(())
    }

    fn ingest(&self) -> Outcome {
        let directory = self.path("ingest");
        for _ in 0..self.arguments.rounds {
            for contender in self.contenders(Contender::ingests) {
                let busy = self.busy(self.arguments.series())?.to_string();
                for child in ["synced", "unsynced"] {
                    let _ = fs::remove_dir_all(&directory);
                    let told = self.child(contender, child, &directory)?;
                    if contender.adds() {
                        self.check(contender, &told, &[("answer_q3", busy.clone())])?;
                    }
                }
            }
        }
        let _ = fs::remove_dir_all(&directory);
        Ok(())
    }

    fn bulk(&self) -> Outcome {
        for contender in self.contenders(Contender::loads) {
            let directory = self.path(contender.name());
            let _ = fs::remove_dir_all(&directory);
            self.child(contender, "load", &directory)?;
        }
        Ok(())
    }

    fn query(&self) -> Outcome {
        for _ in 0..self.arguments.rounds {
            for contender in self.contenders(Contender::loads) {
                let truth = self.truth(contender)?;
                let told = self.child(contender, "query", &self.path(contender.name()))?;
                let right = |question: &str| truth.get(question).cloned().unwrap_or_default();
                let expected = [
                    ("answer_q1", right("q1")),
                    ("answer_q2", right("q2")),
                    ("answer_q3", right("q3")),
                    ("answer_q3_decoding", right("q3")),
                    ("answer_get", right("get")),
                ];
                self.check(contender, &told, &expected)?;
            }
        }
        Ok(())
    }

    /// Kills each store after it acknowledged the busy minutes on top of W1.
    fn kill(&self) -> Outcome {
        let directory = self.path("killed");
        for contender in self.contenders(Contender::is_killed) {
            let _ = fs::remove_dir_all(&directory);
            copy(&self.path(contender.name()), &directory)?;
            let mut command = self.command(contender, "kill", &directory)?;
            let mut child = command.stdout(Stdio::piped()).spawn()?;
            let stdout = child.stdout.take().ok_or("no output")?;
            let acknowledged = BufReader::new(stdout)
                .lines()
                .map_while(Result::ok)
                .any(|line| line == "acknowledged");
            child.kill()?;
            child.wait()?;
            if !acknowledged {
                println!("{}: it did not commit on top of W1", contender.name());
                continue;
            }
            let told = self.child(contender, "recover", &directory)?;
            if contender.adds() {
                let truth = self.truth(contender)?;
                let sum = |name: &str| {
                    let answer = truth.get(name).and_then(|text| text.split(':').nth(1));
                    u64::from_str_radix(answer.unwrap_or_default(), 16)
                };
                let mut expected = Answer::default();
                expected.total(sum("q3")?.wrapping_add(sum("busy")?));
                self.check(contender, &told, &[("answer_q3", expected.to_string())])?;
            }
        }
        let _ = fs::remove_dir_all(&directory);
        Ok(())
    }
}

/// Copies a directory with all below it.
fn copy(from: &Path, to: &Path) -> Outcome {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &target)?,
            false => {
                fs::copy(entry.path(), target)?;
            }
        }
    }
    Ok(())
}
