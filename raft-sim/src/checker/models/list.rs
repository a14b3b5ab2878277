//! [`ListModel`]: lists by name that only grow.

use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;

use super::chain::Chain;
use crate::checker::Model;

/// Lists of `T`, each with a name of type `K`, all empty at first. Every read shows the order of all
/// appends before it, so that little is left to be guessed: the best model there is for finding bugs.
pub struct ListModel<K, T>(PhantomData<fn() -> (K, T)>);

impl<K, T> ListModel<K, T> {
    /// The model.
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<K, T> Default for ListModel<K, T> {
    fn default() -> Self {
        Self::new()
    }
}

/// What a client asks of a [`ListModel`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ListInput<K, T> {
    /// Which list.
    pub list: K,
    /// What to do with it.
    pub op: ListOp<T>,
}

/// What to do with a list.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ListOp<T> {
    /// All its elements.
    Read,
    /// One more at its end.
    Append(T),
}

/// What a client of a [`ListModel`] is told.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ListOutput<T> {
    /// To a read.
    Elements(Vec<T>),
    /// To an append.
    Appended {
        /// How many elements there are now, if the client was told.
        length: Option<usize>,
    },
}

impl<K, T> Model for ListModel<K, T>
where
    K: Ord + Clone + Debug + Send + Sync,
    T: Clone + Eq + Hash + Debug + Send + Sync,
{
    type Input = ListInput<K, T>;
    type Output = ListOutput<T>;
    type Part = K;
    type State = Chain<T>;

    fn part(&self, input: &Self::Input) -> K {
        input.list.clone()
    }

    fn init(&self) -> Chain<T> {
        Chain::new()
    }

    fn step(
        &self,
        state: &Chain<T>,
        input: &Self::Input,
        output: Option<&Self::Output>,
    ) -> Option<Chain<T>> {
        match (&input.op, output) {
            (ListOp::Read, Some(ListOutput::Elements(elements))) => {
                state.is(elements).then(|| state.clone())
            }
            (ListOp::Append(element), Some(ListOutput::Appended { length })) => {
                let fits = length.is_none_or(|length| length == state.len() + 1);
                fits.then(|| state.append(std::slice::from_ref(element)))
            }
            (ListOp::Append(element), None) => Some(state.append(std::slice::from_ref(element))),
            _ => None,
        }
    }

    fn observes(&self, input: &Self::Input, _: Option<&Self::Output>) -> bool {
        input.op == ListOp::Read
    }

    fn notices(
        &self,
        state: &Chain<T>,
        input: &Self::Input,
        output: Option<&Self::Output>,
    ) -> bool {
        match (&input.op, output) {
            (ListOp::Read, Some(ListOutput::Elements(elements))) => {
                elements.get(..state.len()).is_some_and(|start| state.is(start))
            }
            (ListOp::Append(_), Some(ListOutput::Appended { length })) => {
                length.is_none_or(|length| state.len() < length)
            }
            _ => false,
        }
    }

    fn state_bytes(&self, state: &Chain<T>) -> usize {
        state.bytes()
    }

    fn describe_op(&self, input: &Self::Input, output: Option<&Self::Output>) -> String {
        let output = match output {
            Some(ListOutput::Elements(elements)) => format!("{elements:?}"),
            Some(ListOutput::Appended { length: Some(length) }) => format!("length {length}"),
            Some(ListOutput::Appended { length: None }) => "done".into(),
            None => "?".into(),
        };
        match &input.op {
            ListOp::Read => format!("read {:?} -> {output}", input.list),
            ListOp::Append(element) => format!("append {:?} {element:?} -> {output}", input.list),
        }
    }

    fn describe_state(&self, state: &Chain<T>) -> String {
        format!("{state:?}")
    }
}
