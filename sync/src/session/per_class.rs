//! One value for each class.

use khlong_crdt::class::Class;

#[derive(Debug)]
pub(super) struct PerClass<T> {
    control: T,
    text: T,
    bulk: T,
    media: T,
}

impl<T> PerClass<T> {
    pub(super) fn new(mut make: impl FnMut(Class) -> T) -> Self {
        Self {
            control: make(Class::Control),
            text: make(Class::Text),
            bulk: make(Class::Bulk),
            media: make(Class::Media),
        }
    }

    pub(super) const fn get(&self, class: Class) -> &T {
        match class {
            Class::Control => &self.control,
            Class::Text => &self.text,
            Class::Bulk => &self.bulk,
            Class::Media => &self.media,
        }
    }

    pub(super) const fn get_mut(&mut self, class: Class) -> &mut T {
        match class {
            Class::Control => &mut self.control,
            Class::Text => &mut self.text,
            Class::Bulk => &mut self.bulk,
            Class::Media => &mut self.media,
        }
    }

    /// In order of priority.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        [
            &mut self.control,
            &mut self.text,
            &mut self.bulk,
            &mut self.media,
        ]
        .into_iter()
    }
}
