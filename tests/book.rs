//! The book says what the program does: what it shows is printed and run here, what it lists is compared with the code, and its
//! links lead somewhere.

mod codes;
mod console;
mod links;
mod pages;
mod policies;
mod reference;
mod world;
