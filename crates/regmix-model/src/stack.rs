//! Several models of the same shape that a device computes together.
//!
//! A small model does not fill a card: a step is some hundred kernels, and its time is
//! that of starting them, on whatever number of threads. The models of a stack lie side
//! by side in one engine ([`crate::graph`]), so that each kernel computes all of them.
//!
//! Every model is used by a thread of its own, as if it were alone. The threads meet: when
//! all of them wait for a result, the last one computes the steps of all; losses are
//! measured when no step is left, so that models that got out of step with each other
//! measure theirs at the same time, too. A thread that ends leaves its seat, which the
//! model of another run may take.
//!
//! All work on the engine is queued on one stream of the device, whichever thread it comes
//! from: burn keeps the order of what a stream writes in place, and not that of several.

use std::borrow::Cow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

use burn::tensor::{Device as BurnDevice, StreamId};

use crate::config::ModelConfig;
use crate::device::failure::catch_panics;
use crate::engine::{Engine, Parts, State};
use crate::graph::{Graph, Limits, Rate};
use crate::optimizer::AdamWConfig;
use crate::parameters;
use crate::precision::Precision;

/// The most numbers of a tensor of all models: some devices bind no more to a kernel, and
/// models that are so large do not need each other to fill a card.
const MOST: usize = 1 << 26;

/// The stacks of a device.
#[derive(Debug, Default)]
pub(crate) struct Stacks(Mutex<Vec<(Shape, Weak<Stack>)>>);

/// What the models of a stack have in common.
#[derive(Debug, Clone, PartialEq)]
struct Shape {
    config: ModelConfig,
    precision: Precision,
    seats: usize,
}

/// Whether so many models are computed together.
pub(crate) fn suits(config: &ModelConfig, models: usize) -> bool {
    let all = parameters::list(config);
    let largest = all.iter().map(|p| p.count()).max().unwrap_or(0);
    models > 1 && largest.saturating_mul(models) <= MOST
}

impl Stacks {
    /// A seat for a model with these weights in a stack of so many; a new stack if none
    /// has one.
    pub(crate) fn join(
        &self,
        config: &ModelConfig,
        values: Vec<Vec<f32>>,
        precision: Precision,
        device: &BurnDevice,
        seats: usize,
    ) -> Seat {
        let shape = Shape {
            config: config.clone(),
            precision,
            seats,
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, stack)| stack.strong_count() > 0);
        let open = all.iter().filter(|(of, _)| *of == shape);
        for stack in open.filter_map(|(_, stack)| stack.upgrade()) {
            if let Some(number) = stack.take_seat(&values) {
                return Seat { stack, number };
            }
        }
        // Seats that are not taken yet hold the same weights.
        let values = vec![values; seats];
        let graph = Graph::with_limits(config, values, precision, device, Limits::default());
        let mut table = Table {
            graph: Some(graph),
            seats: (0..seats).map(|_| None).collect(),
            failed: None,
        };
        table.seats[0] = Some(Guest::Away);
        let stack = Arc::new(Stack {
            device: device.clone(),
            stream: StreamId::current(),
            table: Mutex::new(table),
            turn: Condvar::new(),
        });
        all.push((shape, Arc::downgrade(&stack)));
        Seat { stack, number: 0 }
    }
}

/// Models that are computed together.
#[derive(Debug)]
struct Stack {
    device: BurnDevice,
    /// That of the thread which made the engine.
    stream: StreamId,
    table: Mutex<Table>,
    /// Signals that a result is there, or a seat was left.
    turn: Condvar,
}

#[derive(Debug)]
struct Table {
    /// `None` after the device failed.
    graph: Option<Graph>,
    seats: Vec<Option<Guest>>,
    /// The messages of the failure.
    failed: Option<String>,
}

/// What the thread of a model does.
#[derive(Debug)]
enum Guest {
    /// Something else.
    Away,
    /// It waits for a result.
    Asks(Request),
    /// The result is there.
    Has(Answer),
}

#[derive(Debug)]
enum Request {
    /// Parts of a batch with their shares of it.
    Step(Vec<(Vec<u32>, f64)>, Rate),
    Losses(Vec<u32>),
}

#[derive(Debug)]
enum Answer {
    Step((f64, f64)),
    /// Of every token.
    Losses(Vec<f32>),
}

impl Stack {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A free seat, in which a model with these weights is then.
    fn take_seat(&self, values: &[Vec<f32>]) -> Option<usize> {
        let mut table = self.table();
        let number = table.seats.iter().position(Option::is_none)?;
        let state = State {
            weights: values.to_vec(),
            ..State::default()
        };
        let graph = table.graph.as_mut()?;
        self.stream.executes(|| graph.restore_one(number, state));
        table.seats[number] = Some(Guest::Away);
        Some(number)
    }
}

impl Drop for Stack {
    /// Frees its memory, which only its stream would use again.
    fn drop(&mut self) {
        let table = self.table.get_mut();
        let graph = table.unwrap_or_else(PoisonError::into_inner).graph.take();
        let free = || {
            drop(graph);
            self.device.memory_cleanup();
        };
        // What a device that failed says here says nothing new.
        catch_panics(|| self.stream.executes(free)).ok();
    }
}

impl Table {
    /// Whether every model that is here waits for a result.
    fn is_complete(&self) -> bool {
        let mut here = self.seats.iter().flatten();
        here.all(|guest| matches!(guest, Guest::Asks(_)))
    }

    /// Computes all steps that are asked for, or, if none is, all losses.
    fn serve(&mut self) {
        let is_step = |r: &Request| matches!(r, Request::Step(..));
        let steps = self.find(is_step).is_some();
        while let Some(first) = self.find(|r| is_step(r) == steps)
            && self.failed.is_none()
        {
            self.serve_like(first);
        }
    }

    fn request(&self, seat: usize) -> Option<&Request> {
        match &self.seats[seat] {
            Some(Guest::Asks(request)) => Some(request),
            _ => None,
        }
    }

    /// The first seat with such a request.
    fn find(&self, is_meant: impl Fn(&Request) -> bool) -> Option<usize> {
        (0..self.seats.len()).find(|&seat| self.request(seat).is_some_and(&is_meant))
    }

    /// Computes what a seat asks for, together with all requests of the same sizes.
    fn serve_like(&mut self, first: usize) {
        let Some(wanted) = self.request(first).map(Request::sizes) else {
            return;
        };
        let Some(mut graph) = self.graph.take() else {
            return;
        };
        let served: Vec<bool> = (0..self.seats.len())
            .map(|seat| self.request(seat).is_some_and(|r| r.sizes() == wanted))
            .collect();
        // A model that is not served goes along with tokens of another.
        let source = |seat: usize| match served[seat] {
            true => seat,
            false => first,
        };
        let requests: Vec<&Request> = (0..self.seats.len())
            .filter_map(|seat| self.request(source(seat)))
            .collect();
        let answers = catch_panics(|| {
            let answers = compute(&mut graph, &requests, &served);
            (graph, answers)
        });
        match answers {
            Ok((graph, answers)) => {
                self.graph = Some(graph);
                let all = self.seats.iter_mut().zip(answers).zip(served);
                for ((seat, answer), _) in all.filter(|(_, served)| *served) {
                    *seat = Some(Guest::Has(answer));
                }
            }
            Err(failure) => self.failed = Some(failure.text().to_owned()),
        }
    }
}

impl Request {
    /// Requests with the same are computed together: whether it is a step, and how many
    /// tokens its parts have.
    fn sizes(&self) -> (bool, Vec<usize>) {
        match self {
            Self::Step(parts, _) => (true, parts.iter().map(|(t, _)| t.len()).collect()),
            Self::Losses(tokens) => (false, vec![tokens.len()]),
        }
    }

    /// The tokens of a part.
    fn tokens(&self, part: usize) -> &[u32] {
        match self {
            Self::Step(parts, _) => &parts[part].0,
            Self::Losses(tokens) => tokens,
        }
    }
}

/// The answers to requests of the same sizes, one for every model; those to be served get
/// what they ask for.
fn compute(graph: &mut Graph, requests: &[&Request], served: &[bool]) -> Vec<Answer> {
    let joined = |part: usize| -> Vec<u32> {
        let all = requests.iter().flat_map(|r| r.tokens(part));
        all.copied().collect()
    };
    match requests[0] {
        Request::Losses(_) => {
            let losses = graph.token_losses_all(&joined(0));
            let of_model = losses.len() / requests.len();
            let own = losses.chunks(of_model);
            own.map(|own| Answer::Losses(own.to_vec())).collect()
        }
        Request::Step(parts, _) => {
            let tokens: Vec<Vec<u32>> = (0..parts.len()).map(joined).collect();
            let shares = parts.iter().map(|(_, share)| *share);
            let parts: Vec<(&[u32], f64)> =
                (tokens.iter().map(Vec::as_slice)).zip(shares).collect();
            let rates: Vec<Option<Rate>> = (requests.iter().zip(served))
                .map(|(request, served)| match request {
                    Request::Step(_, rate) => served.then(|| rate.clone()),
                    Request::Losses(_) => None,
                })
                .collect();
            let outcomes = graph.step_all(&parts, &rates);
            outcomes.into_iter().map(Answer::Step).collect()
        }
    }
}

/// A model of a stack.
#[derive(Debug)]
pub(crate) struct Seat {
    stack: Arc<Stack>,
    number: usize,
}

impl Seat {
    /// Waits until all models of the stack ask for something, and for the answer.
    fn ask(&self, request: Request) -> Answer {
        let mut table = self.stack.table();
        table.seats[self.number] = Some(Guest::Asks(request));
        loop {
            table.check();
            let own = &mut table.seats[self.number];
            match own.replace(Guest::Away) {
                Some(Guest::Has(answer)) => return answer,
                asks => *own = asks,
            }
            if table.is_complete() {
                self.stack.stream.executes(|| table.serve());
                self.stack.turn.notify_all();
            } else {
                let waited = self.stack.turn.wait(table);
                table = waited.unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Works on the engine between two requests.
    fn with<T>(&self, work: impl FnOnce(&mut Graph, usize) -> T) -> T {
        let mut table = self.stack.table();
        table.check();
        let graph = table.graph.as_mut().expect("it has not failed");
        self.stack.stream.executes(|| work(graph, self.number))
    }
}

impl Table {
    /// Panics as the device did, if it has failed: every model of the stack fails.
    fn check(&self) {
        if let Some(messages) = &self.failed {
            panic!("{messages}");
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.stack.table().seats[self.number] = None;
        self.stack.turn.notify_all();
    }
}

impl Engine for Seat {
    fn step(&mut self, parts: &[(&[u32], f64)], config: &AdamWConfig, lr: f64) -> (f64, f64) {
        let parts = (parts.iter()).map(|(tokens, share)| (tokens.to_vec(), *share));
        let adamw = config.clone();
        match self.ask(Request::Step(parts.collect(), Rate { adamw, lr })) {
            Answer::Step(outcome) => outcome,
            Answer::Losses(_) => unreachable!("a request for a step is answered by one"),
        }
    }

    fn parts(&mut self) -> Option<&mut dyn Parts> {
        None
    }

    fn token_losses(&mut self, tokens: &[u32]) -> Vec<f32> {
        match self.ask(Request::Losses(tokens.to_vec())) {
            Answer::Losses(losses) => losses,
            Answer::Step(_) => unreachable!("a request for losses is answered by losses"),
        }
    }

    fn logits(&mut self, tokens: &[u32]) -> Vec<f32> {
        self.with(|graph, number| {
            let models = graph.models();
            let all = graph.logits_all(&tokens.repeat(models));
            let own = all.len() / models;
            all[number * own..(number + 1) * own].to_vec()
        })
    }

    fn state(&self) -> Cow<'_, State> {
        Cow::Owned(self.with(|graph, number| graph.state_of(number)))
    }

    fn restore(&mut self, state: State) {
        self.with(|graph, number| graph.restore_one(number, state));
    }
}
