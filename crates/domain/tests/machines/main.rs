//! The machines against the clock and against each other, from outside: pure, in times that are only numbers.

#[cfg(test)]
mod deadlines;
#[cfg(test)]
mod one_lane;
